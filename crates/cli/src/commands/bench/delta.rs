//! `bench delta`: a static delta for a few changed files, made and applied.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde::Serialize;
use trefoil_fsat::Dir;
use trefoil_repo::Repo;
use trefoil_repo::delta::DeltaName;

use super::ground::{Ground, GroundArgs};
use super::measure::{measure, system_calls};
use super::rows::{OSTREE, OURS, REAL, Row, promise, ratio, turns, verdict};
use crate::commands::lab::peer::{Peer, run};
use crate::commands::lab::table::{Table, bytes, number};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `bench delta`.
#[derive(Args, Debug)]
pub struct DeltaBenchArgs {
    #[command(flatten)]
    ground: GroundArgs,
    /// How many files change
    #[arg(long, value_name = "N", default_value_t = 10)]
    changed: usize,
    /// Measured runs of each cell
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub rounds: usize,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// The tools, and where the delta each of them made is kept.
const TOOLS: [(&str, &str); 2] = [(OURS, "delta-ours"), (OSTREE, "delta-theirs")];
const GENERATE: &str = "generate";
const APPLY_OURS: &str = "apply trefoil's";
const APPLY_THEIRS: &str = "apply ostree's";
/// What Trefoil promises: task, and how many times less wall time than `ostree`. Nothing for
/// deltas that `ostree` made: their one part is one block of xz, and to unpack that takes a third
/// of the time `ostree` takes for all (docs/decisions/0013).
const PROMISES: [(&str, f64); 2] = [(GENERATE, 10.0), (APPLY_OURS, 8.0)];

/// A whole benchmark of deltas.
#[derive(Debug, Serialize)]
pub struct Results {
    ostree: String,
    entries: u64,
    bytes: u64,
    changed: usize,
    /// Bytes of the files of the delta, by tool.
    sizes: Vec<(&'static str, u64)>,
    rows: Vec<Row>,
}

struct Bench<'a> {
    cx: &'a Context,
    peer: Peer,
    place: PathBuf,
    dir: Dir,
    name: Option<DeltaName>,
}

/// Runs everything that `args` ask for.
pub fn measure_deltas(args: &DeltaBenchArgs, cx: &Context, peer: Peer) -> Result<Results> {
    let Ground { held, place, dir, files, entries, bytes } = Ground::make(&args.ground, cx)?;
    let ostree = peer.version.clone();
    let mut bench = Bench { cx, peer, place, dir, name: None };
    bench.prepare(&files[..args.changed.min(files.len())])?;
    let mut rows = bench.generate(args.rounds)?;
    let mut sizes = Vec::new();
    for (tool, kept) in TOOLS {
        sizes.push((tool, bench.size(kept)?));
    }
    rows.extend(bench.apply(APPLY_OURS, TOOLS[0].1, args.rounds)?);
    rows.extend(bench.apply(APPLY_THEIRS, TOOLS[1].1, args.rounds)?);
    drop(bench);
    drop(held);
    Ok(Results { ostree, entries, bytes, changed: args.changed, sizes, rows })
}

impl Bench<'_> {
    fn path(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    fn command(&self, tool: &str) -> Result<Command> {
        Ok(match tool {
            OURS => Command::new(std::env::current_exe()?),
            _ => self.peer.command(),
        })
    }

    /// `TOOL ARGS --repo=REPO`.
    fn on(&self, tool: &str, repo: &str, args: &[&str]) -> Result<Command> {
        let mut command = self.command(tool)?;
        command.args(args).arg(format!("--repo={}", self.path(repo)));
        Ok(command)
    }

    fn rev(&self, rev: &str) -> Result<String> {
        let repo = Repo::open(self.dir.open_dir("archive")?)?;
        Ok(repo.resolve_rev(rev)?.to_hex())
    }

    /// An archive with two commits, and a repository in mode bare with the first one.
    fn prepare(&mut self, files: &[String]) -> Result<()> {
        self.cx.ui.words("committing it twice")?;
        for (repo, mode) in [("archive", "archive"), ("bare", "bare")] {
            run(self.on(OSTREE, repo, &["init", &format!("--mode={mode}")])?)?;
        }
        let tree = format!("--tree=dir={}", self.path("tree"));
        let commit = ["commit", "-b", "main", "--timestamp=@1700000000", &tree];
        run(self.on(OURS, "archive", &commit)?)?;
        let from = self.rev("main")?;
        let open = self.dir.open_dir("tree/usr")?;
        for path in files {
            let path = path.trim_start_matches('/');
            open.open_append(path)?.write_all(b"\n# a line more\n")?;
        }
        run(self.on(OURS, "archive", &commit)?)?;
        self.name = Some(format!("{from}-{}", self.rev("main")?).parse()?);
        run(self.on(OURS, "bare", &["pull-local", &self.path("archive"), &from])?)?;
        run(self.on(OURS, "bare", &["refs", "--create=base", &from])?)?;
        Ok(())
    }

    fn name(&self) -> Result<DeltaName> {
        self.name.ok_or_else(|| CliError::failed("there are no two commits"))
    }

    /// The delta made by each tool in turns; the last one of each is kept.
    fn generate(&self, rounds: usize) -> Result<Vec<Row>> {
        let name = self.name()?;
        let from = name.from.map_or("--empty".to_string(), |from| format!("--from={from}"));
        let to = format!("--to={}", name.to);
        let args = ["static-delta", "generate", &from, &to];
        let mut rows = rows_of(GENERATE);
        for round in 0..rounds {
            self.cx.ui.words(format_args!("{GENERATE}: {} of {rounds}", round + 1))?;
            for at in turns(TOOLS.len(), round) {
                let (tool, kept) = TOOLS[at];
                rows[at].samples.push(measure(self.on(tool, "archive", &args)?)?);
                if self.dir.exists(kept)? {
                    self.dir.remove_all(kept)?;
                }
                self.dir.rename(format!("archive/{}", name.dir()), &self.dir, kept)?;
            }
        }
        for row in &mut rows {
            let command = self.on(row.tool, "archive", &args)?;
            row.system_calls = system_calls(&command, &self.place)?;
            self.dir.remove_all(format!("archive/{}", name.dir()))?;
        }
        Ok(rows)
    }

    /// One delta applied by each tool in turns.
    fn apply(&self, task: &'static str, delta: &str, rounds: usize) -> Result<Vec<Row>> {
        let args = ["static-delta", "apply-offline", &self.path(delta)];
        let to = self.name()?.to.to_hex();
        let mut rows = rows_of(task);
        for round in 0..rounds {
            self.cx.ui.words(format_args!("{task}: {} of {rounds}", round + 1))?;
            for at in turns(TOOLS.len(), round) {
                rows[at].samples.push(measure(self.on(TOOLS[at].0, "bare", &args)?)?);
                run(self.on(OSTREE, "bare", &["ls", "-R", &to])?)?;
                self.forget()?;
            }
        }
        for row in &mut rows {
            let command = self.on(row.tool, "bare", &args)?;
            row.system_calls = system_calls(&command, &self.place)?;
            self.forget()?;
        }
        Ok(rows)
    }

    /// Takes what was applied out of the repository.
    fn forget(&self) -> Result<()> {
        run(self.on(OURS, "bare", &["prune", "--refs-only"])?).map(drop)
    }

    fn size(&self, delta: &str) -> Result<u64> {
        let dir = self.dir.open_dir(delta)?;
        let mut sum = 0;
        for entry in dir.entries()? {
            sum += dir.stat(&entry.name)?.size;
        }
        Ok(sum)
    }
}

fn rows_of(task: &'static str) -> Vec<Row> {
    TOOLS.map(|(tool, _)| Row::new(task, tool)).into()
}

impl Results {
    fn ratio(&self, task: &str) -> Option<f64> {
        ratio(&self.rows, task, OURS, OSTREE)
    }

    fn size(&self, tool: &str) -> u64 {
        self.sizes.iter().find(|(own, _)| *own == tool).map_or(0, |(_, size)| *size)
    }

    /// Everything in Markdown.
    pub fn markdown(&self) -> String {
        let head = ["task", "tool", "wall", "CPU", "system calls", "delta", "runs", "less wall"];
        let mut table = Table::new(2, &head);
        for row in self.rows.iter().filter(|row| !row.samples.is_empty()) {
            let ratio = self.ratio(&row.task).filter(|_| row.tool == OURS);
            let size = match row.task.as_str() {
                GENERATE => self.size(row.tool),
                APPLY_OURS => self.size(OURS),
                _ => self.size(OSTREE),
            };
            let mut cells = row.cells();
            cells.push(format!("{} B", number(size)));
            cells.extend(row.last_cells(ratio));
            table.row(cells);
        }
        format!(
            "Tree: {} entries, {}; {} changed; ostree {}.\nMedians; the tools took turns, each run \
             a process of its own, after `sync`.\n\n{}\n{}",
            number(self.entries),
            bytes(self.bytes),
            number(self.changed as u64),
            self.ostree,
            table.markdown(),
            self.promises()
        )
    }

    fn promises(&self) -> String {
        let (ours, theirs) = (self.size(OURS), self.size(OSTREE));
        let text = format!(
            "- size: {} B beside {} B, promised no more: {}\n",
            number(ours),
            number(theirs),
            verdict(ours <= theirs)
        );
        if self.entries < REAL {
            let real = number(REAL);
            return text + &format!("Times are promised for trees of {real} entries or more.\n");
        }
        PROMISES
            .iter()
            .fold(text, |text, (task, least)| text + &promise(task, self.ratio(task), *least))
    }
}
