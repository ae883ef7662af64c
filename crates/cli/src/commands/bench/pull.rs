//! `bench pull`: a new version brought over from another repository, beside `ostree`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use trefoil_fsat::Dir;
use trefoil_repo::Repo;

use super::ground::{Ground, GroundArgs};
use super::measure::{measure, system_calls};
use super::rows::{self, OSTREE, OURS, REAL, promise, turns, verdict};
use crate::commands::lab::peer::{Peer, run};
use crate::commands::lab::table::{Table, bytes, number};
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};

/// Arguments of `bench pull`.
#[derive(Args, Debug)]
pub struct PullBenchArgs {
    #[command(flatten)]
    ground: GroundArgs,
    /// How many files change from version to version
    #[arg(long, value_name = "N", default_value_t = 10)]
    changed: usize,
    /// Measured pulls of a change by each way
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub rounds: usize,
    /// Measured first pulls of everything over HTTP
    #[arg(long, value_name = "K", default_value_t = 1)]
    first_rounds: usize,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

const TOOLS: [&str; 2] = [OURS, OSTREE];
const LOCAL: &str = "pull-local, change";
const HTTP: &str = "pull over HTTP, change";
const FIRST: &str = "pull over HTTP, everything";
/// What Trefoil promises: task, and how many times less wall time than `ostree`.
const PROMISES: [(&str, f64); 3] = [(LOCAL, 20.0), (HTTP, 8.0), (FIRST, 1.0)];
/// For the last lines of the server's log after a client has ended.
const LOG_DELAY: Duration = Duration::from_millis(100);

/// What clients asked the server for.
#[derive(Copy, Clone, Debug, Default, Serialize)]
struct Traffic {
    requests: u64,
    bytes: u64,
}

/// All samples of one tool on one task.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    row: rows::Row,
    traffic: Vec<Traffic>,
}

/// A whole benchmark of pulls.
#[derive(Debug, Serialize)]
pub struct Results {
    ostree: String,
    entries: u64,
    bytes: u64,
    changed: usize,
    rows: Vec<Row>,
}

struct Bench<'a> {
    cx: &'a Context,
    peer: Peer,
    place: PathBuf,
    dir: Dir,
    files: Vec<String>,
    changed: usize,
    used: usize,
    server: Server,
}

/// Runs everything that `args` ask for.
pub fn measure_pulls(args: &PullBenchArgs, cx: &Context, peer: Peer) -> Result<Results> {
    let Ground { held, place, dir, files, entries, bytes } = Ground::make(&args.ground, cx)?;
    let ostree = peer.version.clone();
    cx.ui.words("committing it")?;
    for (name, mode) in [("archive", "archive"), ("bare", "bare")] {
        let mut init = peer.command();
        init.args(["init", &format!("--mode={mode}")]).arg(repo_option(&place, name));
        run(init)?;
    }
    let server = Server::start(&place.join("archive"))?;
    let changed = args.changed;
    let mut bench = Bench { cx, peer, place, dir, files, changed, used: 0, server };
    bench.commit(&[])?;
    let mut rows = bench.first(args.first_rounds)?;
    rows.extend(bench.changes(LOCAL, args.rounds)?);
    rows.extend(bench.changes(HTTP, args.rounds)?);
    drop(bench);
    drop(held);
    Ok(Results { ostree, entries, bytes, changed, rows })
}

fn repo_option(place: &std::path::Path, name: &str) -> String {
    format!("--repo={}", place.join(name).display())
}

impl Bench<'_> {
    fn on(&self, tool: &str, repo: &str, args: &[&str]) -> Result<Command> {
        let mut command = match tool {
            OURS => Command::new(std::env::current_exe()?),
            _ => self.peer.command(),
        };
        command.args(args).arg(repo_option(&self.place, repo));
        Ok(command)
    }

    fn path(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    /// Commits the tree to both sources, as the same commit. With a list of what changed only
    /// that is looked at.
    fn commit(&self, changed: &[String]) -> Result<()> {
        let tree = format!("--tree=dir={}", self.path("tree"));
        let list = format!("--changed-from={}", self.path("changed"));
        for repo in ["archive", "bare"] {
            let mut args = vec!["commit", "-b", "main", "--timestamp=@1700000000", &tree];
            if !changed.is_empty() {
                self.dir.write("changed", changed.join("\n").as_bytes(), 0o644)?;
                args.push(&list);
            }
            run(self.on(OURS, repo, &args)?)?;
        }
        Ok(())
    }

    /// The next version: changes the next files.
    fn edit(&mut self) -> Result<()> {
        let mut changed = Vec::new();
        for _ in 0..self.changed.min(self.files.len()) {
            let path = format!("usr{}", self.files[self.used % self.files.len()]);
            self.used += 1;
            let tree = self.dir.open_dir("tree")?;
            tree.open_append(&path)?.write_all(format!("{}\n", self.used).as_bytes())?;
            changed.push(path);
        }
        self.commit(&changed)
    }

    /// First pulls into new repositories, in turns; the last ones stay.
    fn first(&self, rounds: usize) -> Result<Vec<Row>> {
        let mut rows = rows_of(FIRST);
        for round in 0..rounds.max(1) {
            self.cx.ui.words(format_args!("{FIRST}: {} of {rounds}", round + 1))?;
            for at in turns(TOOLS.len(), round) {
                let tool = TOOLS[at];
                if self.dir.exists(tool)? {
                    self.dir.remove_all(tool)?;
                }
                run(self.on(OSTREE, tool, &["init", "--mode=bare"])?)?;
                let url = self.server.url.as_str();
                run(self.on(
                    OSTREE,
                    tool,
                    &["remote", "add", "--no-gpg-verify", "origin", url],
                )?)?;
                self.server.take();
                rows[at].row.samples.push(measure(self.pull(HTTP, tool)?)?);
                rows[at].traffic.push(self.server.take());
            }
            self.same()?;
        }
        if rounds == 0 {
            rows.iter_mut().for_each(|row| row.row.samples.clear());
        }
        Ok(rows)
    }

    fn pull(&self, task: &str, tool: &str) -> Result<Command> {
        match task {
            LOCAL => {
                self.on(tool, tool, &["pull-local", "--remote=origin", &self.path("bare"), "main"])
            }
            _ => self.on(tool, tool, &["pull", "origin", "main"]),
        }
    }

    /// Pulls of a few changes, in turns.
    fn changes(&mut self, task: &'static str, rounds: usize) -> Result<Vec<Row>> {
        let mut rows = rows_of(task);
        for round in 0..rounds {
            self.cx.ui.words(format_args!("{task}: {} of {rounds}", round + 1))?;
            self.edit()?;
            for at in turns(TOOLS.len(), round) {
                self.server.take();
                rows[at].row.samples.push(measure(self.pull(task, TOOLS[at])?)?);
                rows[at].traffic.push(self.server.take());
            }
            self.same()?;
        }
        self.edit()?;
        for row in &mut rows {
            let command = self.pull(task, row.row.tool)?;
            row.row.system_calls = system_calls(&command, &self.place)?;
        }
        Ok(rows)
    }

    /// Both must have come to the commit of the source.
    fn same(&self) -> Result<()> {
        let rev = |repo: &str, rev: &str| -> Result<String> {
            Ok(Repo::open(self.dir.open_dir(repo)?)?.resolve_rev(rev)?.to_hex())
        };
        let wanted = rev("archive", "main")?;
        for tool in TOOLS {
            if rev(tool, "origin:main")? != wanted {
                return Err(CliError::failed(format!("{tool} did not come to commit {wanted}")));
            }
        }
        Ok(())
    }
}

/// `trefoil serve` in a process of its own, for both tools.
struct Server {
    child: Child,
    url: String,
    seen: Arc<Mutex<Traffic>>,
}

#[derive(Deserialize)]
struct Listening {
    listening: String,
}

#[derive(Deserialize)]
struct Request {
    bytes: u64,
}

impl Server {
    fn start(repo: &std::path::Path) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--json", "--bind=127.0.0.1:0"]).arg(repo).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the server")?;
        let out = child.stdout.take().ok_or_else(|| CliError::failed("the server is mute"))?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let listening: Listening = serde_json::from_str(&line).context("reading its address")?;
        let seen = Arc::new(Mutex::new(Traffic::default()));
        let counted = seen.clone();
        thread::spawn(move || count(out, &counted));
        Ok(Server { child, url: listening.listening, seen })
    }

    /// What was asked for since the last call.
    fn take(&self) -> Traffic {
        thread::sleep(LOG_DELAY);
        std::mem::take(&mut *self.seen.lock().expect("no holder panics"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count(log: BufReader<ChildStdout>, seen: &Mutex<Traffic>) {
    for line in log.lines().map_while(std::result::Result::ok) {
        if let Ok(request) = serde_json::from_str::<Request>(&line) {
            let mut seen = seen.lock().expect("no holder panics");
            seen.requests += 1;
            seen.bytes += request.bytes;
        }
    }
}

fn rows_of(task: &'static str) -> Vec<Row> {
    TOOLS.map(|tool| Row { row: rows::Row::new(task, tool), traffic: Vec::new() }).into()
}

impl Row {
    fn most(&self) -> Traffic {
        let most = |of: fn(&Traffic) -> u64| self.traffic.iter().map(of).max().unwrap_or_default();
        Traffic { requests: most(|t| t.requests), bytes: most(|t| t.bytes) }
    }
}

impl Results {
    fn traffic(&self, task: &str, tool: &str) -> Option<Traffic> {
        let measured = self.rows.iter().filter(|row| !row.traffic.is_empty());
        let mut found = measured.filter(|row| row.row.task == task && row.row.tool == tool);
        found.next().map(Row::most)
    }

    fn ratio(&self, task: &str) -> Option<f64> {
        rows::ratio(self.rows.iter().map(|row| &row.row), task, OURS, OSTREE)
    }

    /// Everything in Markdown.
    pub fn markdown(&self) -> String {
        let head = [
            "task",
            "tool",
            "wall",
            "CPU",
            "system calls",
            "requests",
            "fetched",
            "runs",
            "less wall",
        ];
        let mut table = Table::new(2, &head);
        for row in self.rows.iter().filter(|row| !row.row.samples.is_empty()) {
            let ratio = self.ratio(&row.row.task).filter(|_| row.row.tool == OURS);
            let traffic = row.most();
            let mut cells = row.row.cells();
            cells.extend([number(traffic.requests), format!("{} B", number(traffic.bytes))]);
            cells.extend(row.row.last_cells(ratio));
            table.row(cells);
        }
        format!(
            "Tree: {} entries, {}; {} changed; ostree {}; `trefoil serve` is the server of both.\n\
             Medians; the tools took turns, each run a process of its own, after `sync`.\n\n{}\n{}",
            number(self.entries),
            bytes(self.bytes),
            number(self.changed as u64),
            self.ostree,
            table.markdown(),
            self.promises()
        )
    }

    fn promises(&self) -> String {
        let mut text = String::new();
        for task in [HTTP, FIRST] {
            let both = self.traffic(task, OURS).zip(self.traffic(task, OSTREE));
            if let Some((ours, theirs)) = both {
                text += &format!(
                    "- {task}: {} requests and {} B beside {} and {} B, promised no more: {}\n",
                    number(ours.requests),
                    number(ours.bytes),
                    number(theirs.requests),
                    number(theirs.bytes),
                    verdict(ours.requests <= theirs.requests && ours.bytes <= theirs.bytes)
                );
            }
        }
        if self.entries < REAL {
            let real = number(REAL);
            return text + &format!("Times are promised for trees of {real} entries or more.\n");
        }
        PROMISES
            .iter()
            .fold(text, |text, (task, least)| text + &promise(task, self.ratio(task), *least))
    }
}
