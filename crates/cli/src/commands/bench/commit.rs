//! `bench commit`: full commits, and commits of a tree in which a few files changed.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde::Serialize;
use trefoil_fsat::Dir;
use trefoil_repo::{Repo, TreeId};

use super::ground::{Ground, GroundArgs};
use super::measure::{measure, system_calls};
use super::rows::{OSTREE as PLAIN, OURS as INDEX, REAL, Row, promise, ratio, turns, verdict};
use crate::commands::lab::peer::{Peer, run};
use crate::commands::lab::table::{Table, bytes, number};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `bench commit`.
#[derive(Args, Debug)]
pub struct CommitBenchArgs {
    #[command(flatten)]
    ground: GroundArgs,
    /// How many files change from commit to commit
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub changed: usize,
    /// Measured commits of changes by each way
    #[arg(long, value_name = "K", default_value_t = 5)]
    rounds: usize,
    /// Measured full commits in each mode
    #[arg(long, value_name = "K", default_value_t = 2)]
    full_rounds: usize,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// A whole benchmark of commits.
#[derive(Debug, Serialize)]
pub struct Results {
    ostree: String,
    entries: u64,
    bytes: u64,
    rows: Vec<Row>,
}

const LINKS: &str = "ostree --link-checkout-speedup";
const LAID_OVER: &str = "ostree --tree=ref --tree=dir";
const TOLD: &str = "trefoil --changed-from";
const OVERLAY: &str = "trefoil --tree=ref --tree=dir";
/// The ways, each with its branch, which both have a repository of their own for.
const WAYS: [(&str, &str); 6] = [
    (INDEX, "index"),
    (PLAIN, "plain"),
    (TOLD, "told"),
    (LINKS, "links"),
    (OVERLAY, "overlay"),
    (LAID_OVER, "laid-over"),
];
/// What Trefoil promises: way, beside which one, how many times less wall time.
const PROMISES: [(&str, &str, f64); 4] =
    [(INDEX, PLAIN, 80.0), (INDEX, LINKS, 6.0), (TOLD, LAID_OVER, 5.0), (OVERLAY, LAID_OVER, 5.0)];
/// And how many times faster full commits are.
const FULL_PROMISE: f64 = 3.0;
/// System calls of a told commit, at most.
const CALLS: u64 = 1_000;

struct Bench<'a> {
    cx: &'a Context,
    peer: Peer,
    place: PathBuf,
    dir: Dir,
    files: Vec<String>,
    changed: usize,
    used: usize,
}

/// Runs everything that `args` ask for.
pub fn measure_commits(args: &CommitBenchArgs, cx: &Context, peer: Peer) -> Result<Results> {
    let Ground { held, place, dir, files, entries, bytes } = Ground::make(&args.ground, cx)?;
    let ostree = peer.version.clone();
    let mut bench = Bench { cx, peer, place, dir, files, changed: args.changed, used: 0 };
    let mut rows = bench.full("archive", args.full_rounds)?;
    rows.extend(bench.full("bare", args.full_rounds)?);
    rows.extend(bench.changes(args.rounds)?);
    drop(bench);
    drop(held);
    Ok(Results { ostree, entries, bytes, rows })
}

impl Bench<'_> {
    fn path(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    fn trefoil() -> Result<Command> {
        Ok(Command::new(std::env::current_exe()?))
    }

    /// Full commits into new repositories, in turns; the last ones stay.
    fn full(&self, mode: &str, rounds: usize) -> Result<Vec<Row>> {
        let mut rows = [INDEX, PLAIN].map(|way| Row::new(full_task(mode), way));
        for round in 0..rounds {
            self.cx.ui.words(format_args!("{}: {} of {rounds}", full_task(mode), round + 1))?;
            for at in turns(rows.len(), round) {
                let name = ["ours", "theirs"][at];
                if self.dir.exists(name)? {
                    self.dir.remove_all(name)?;
                }
                let mut init = self.peer.command();
                init.args(["init", &format!("--repo={}", self.path(name))]);
                run(with(init, &[&format!("--mode={mode}")]))?;
                let command = if at == 0 { Self::trefoil()? } else { self.peer.command() };
                let tree = format!("--tree=dir={}", self.path("tree"));
                rows[at].samples.push(measure(self.commit(command, name, "main", &[&tree]))?);
            }
            self.same("main", "main")?;
        }
        Ok(rows.into())
    }

    fn commit(&self, command: Command, repo: &str, branch: &str, sources: &[&str]) -> Command {
        let repo = format!("--repo={}", self.path(repo));
        let branch = format!("--branch={branch}");
        let head = ["commit", &repo, &branch, "--timestamp=@1700000000"];
        with(with(command, &head), sources)
    }

    /// Both repositories must have the same tree.
    fn same(&self, ours: &str, theirs: &str) -> Result<()> {
        let tree = |repo: &str, branch: &str| -> Result<TreeId> {
            let repo = Repo::open(self.dir.open_dir(repo)?)?;
            Ok(TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(branch)?)?))
        };
        if tree("ours", ours)? == tree("theirs", theirs)? {
            return Ok(());
        }
        Err(CliError::failed(format!("the trees of {ours} and ostree's {theirs} differ")))
    }

    /// Commits of a few changes by every way, in turns.
    fn changes(&mut self, rounds: usize) -> Result<Vec<Row>> {
        for (way, branch) in WAYS {
            let repo = format!("--repo={}", self.path(repo_of(way)));
            run(with(
                self.peer.command(),
                &["refs", &repo, &format!("--create={branch}"), "main"],
            ))?;
        }
        let repo = format!("--repo={}", self.path("theirs"));
        let checkout = self.path("checkout");
        run(with(self.peer.command(), &["checkout", &repo, "-H", "main", &checkout]))?;
        let task = changed_task(self.changed);
        let mut rows = WAYS.map(|(way, _)| Row::new(task.clone(), way));
        for round in 0..rounds {
            self.cx.ui.words(format_args!("{task}: {} of {rounds}", round + 1))?;
            self.edit()?;
            for at in turns(WAYS.len(), round) {
                rows[at].samples.push(measure(self.way(at)?)?);
            }
            for (way, branch) in WAYS.iter().filter(|(way, _)| repo_of(way) == "ours") {
                self.same(branch, "plain").map_err(|e| CliError::failed(format!("{way}: {e}")))?;
            }
        }
        self.edit()?;
        // All of a tree hashed under strace takes longer than the rest of the benchmark.
        for (at, row) in rows.iter_mut().enumerate().filter(|(_, row)| row.tool != PLAIN) {
            row.system_calls = system_calls(&self.way(at)?, &self.place)?;
        }
        Ok(rows.into())
    }

    fn way(&self, at: usize) -> Result<Command> {
        let (way, branch) = WAYS[at];
        let repo = repo_of(way);
        let command = if repo == "ours" { Self::trefoil()? } else { self.peer.command() };
        let dir = |name: &str| format!("--tree=dir={}", self.path(name));
        let base = format!("--tree=ref={branch}");
        let sources = match way {
            LINKS => vec!["--link-checkout-speedup".to_string(), dir("checkout")],
            TOLD => vec![format!("--changed-from={}", self.path("changed")), dir("tree")],
            OVERLAY | LAID_OVER => vec![base, dir("overlay")],
            _ => vec![dir("tree")],
        };
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        Ok(self.commit(command, repo, branch, &sources))
    }

    /// Changes the next files in the tree, in the checkout and in the overlay.
    fn edit(&mut self) -> Result<()> {
        if self.dir.exists("overlay")? {
            self.dir.remove_all("overlay")?;
        }
        self.dir.mkdir("overlay", 0o755)?;
        let mut list = String::new();
        for _ in 0..self.changed.min(self.files.len()) {
            let path = format!("usr{}", self.files[self.used % self.files.len()]);
            self.used += 1;
            let tree = self.dir.open_dir("tree")?;
            tree.open_append(&path)?.write_all(format!("{}\n", self.used).as_bytes())?;
            list += &format!("{path}\n");
        }
        self.dir.write("changed", list.as_bytes(), 0o644)?;
        let mut copy = Command::new("cp");
        copy.arg("-a").arg("--parents").args(list.lines()).arg(self.path("overlay"));
        copy.current_dir(self.place.join("tree"));
        run(copy)?;
        let root = self.dir.open_dir("tree")?.stat_self()?;
        self.dir.open_dir("overlay")?.set_mode(root.mode)?;
        // New inodes for old ones: writing through a hard link would change the object.
        let mut copy = Command::new("cp");
        copy.args(["-a", "--remove-destination", "--no-target-directory"]);
        copy.args([self.path("overlay"), self.path("checkout")]);
        run(copy)?;
        Ok(())
    }
}

fn repo_of(way: &str) -> &'static str {
    if way.starts_with(INDEX) { "ours" } else { "theirs" }
}

fn full_task(mode: &str) -> String {
    format!("full commit, {mode}")
}

fn changed_task(changed: usize) -> String {
    format!("{} changed", number(changed as u64))
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

impl Results {
    fn ratio(&self, task: &str, way: &str, beside: &str) -> Option<f64> {
        ratio(&self.rows, task, way, beside)
    }

    /// Everything in Markdown.
    pub fn markdown(&self, changed: usize) -> String {
        let mut table =
            Table::new(2, &["task", "way", "wall", "CPU", "system calls", "runs", "less wall"]);
        for row in self.rows.iter().filter(|row| !row.samples.is_empty()) {
            let ratio = self.ratio(&row.task, row.tool, PLAIN).filter(|_| row.tool != PLAIN);
            let mut cells = row.cells();
            cells.extend(row.last_cells(ratio));
            table.row(cells);
        }
        format!(
            "Tree: {} entries, {}; ostree {}; all ways gave the same tree.\nMedians; they took \
             turns, each run a process of its own, after `sync`.\n\n{}\n{}",
            number(self.entries),
            bytes(self.bytes),
            self.ostree,
            table.markdown(),
            self.promises(&changed_task(changed)),
        )
    }

    fn promises(&self, task: &str) -> String {
        let mut text = match self.entries < REAL {
            true => format!("Times are promised for trees of {} entries or more.\n", number(REAL)),
            false => self.times(task),
        };
        for row in self.rows.iter().filter(|row| [TOLD, OVERLAY].contains(&row.tool)) {
            if let Some(calls) = row.system_calls {
                let kept = verdict(calls < CALLS);
                text += &format!("- {}: {} system calls: {kept}\n", row.tool, number(calls));
            }
        }
        text
    }

    fn times(&self, task: &str) -> String {
        let mut text = String::new();
        for task in ["archive", "bare"].map(full_task) {
            text += &promise(&task, self.ratio(&task, INDEX, PLAIN), FULL_PROMISE);
        }
        for (way, beside, least) in PROMISES {
            let what = format!("{way} beside {beside}");
            text += &promise(&what, self.ratio(task, way, beside), least);
        }
        text
    }
}
