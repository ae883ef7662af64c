//! `bench scale`: what a commit costs in trees of growing size, in memory and system calls.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use trefoil_fsat::{Dir, Fs};

use super::measure::system_calls;
use super::tree;
use crate::commands::lab::peer::{run, settle};
use crate::commands::lab::scratch::Scratch;
use crate::commands::lab::table::{Table, bytes, number, time};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::user_files;

/// Arguments of `bench scale`.
#[derive(Args, Debug)]
pub struct ScaleBenchArgs {
    /// Files of the made up trees
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_value = "1000,100000,1000000"
    )]
    sizes: Vec<u64>,
    /// Where everything is made
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// Files that change from commit to commit.
const CHANGED: u64 = 10;
/// What a commit of the largest tree may take.
const MEMORY: u64 = 600_000_000;
/// System calls of a told commit or an overlay, at most.
const CALLS: u64 = 1_000;
/// Between two looks at how much memory a process has taken.
const LOOK: Duration = Duration::from_millis(5);

const FULL: &str = "full";
const INDEXED: &str = "indexed, 10 changed";
const TOLD: &str = "--changed-from, 10 changed";
const OVERLAY: &str = "--tree=ref --tree=dir, 10 changed";

/// One commit.
#[derive(Debug, Serialize)]
struct Row {
    files: u64,
    way: &'static str,
    /// Seconds.
    wall: f64,
    /// The most memory it held at once, in bytes.
    memory: u64,
    system_calls: Option<u64>,
}

/// A whole benchmark.
#[derive(Debug, Serialize)]
pub struct Results {
    rows: Vec<Row>,
}

struct Bench<'a> {
    cx: &'a Context,
    place: PathBuf,
    dir: Dir,
    files: u64,
    edits: u64,
}

/// Runs everything that `args` ask for.
pub fn measure_scale(args: &ScaleBenchArgs, cx: &Context) -> Result<Results> {
    let mut rows = Vec::new();
    for files in &args.sizes {
        let scratch = Scratch::create(&args.dir, "trefoil-bench", false)?;
        let place = scratch.path();
        let dir = Fs::new().open_dir(&place)?;
        cx.ui.words(format_args!("{} files: making the tree", number(*files)))?;
        tree::make_of(&dir, *files)?;
        rows.extend(Bench { cx, place, dir, files: *files, edits: 0 }.run()?);
    }
    Ok(Results { rows })
}

impl Bench<'_> {
    fn run(mut self) -> Result<Vec<Row>> {
        run(self.trefoil(&["init", "--mode=archive"])?)?;
        let mut rows = vec![self.measure(FULL)?];
        for way in [INDEXED, TOLD, OVERLAY] {
            self.edit()?;
            let mut row = self.measure(way)?;
            if way != INDEXED {
                self.edit()?;
                row.system_calls = system_calls(&self.commit(way)?, &self.place)?;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn trefoil(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(format!("--repo={}", self.place.join("repo").display())).args(args);
        Ok(command)
    }

    fn commit(&self, way: &str) -> Result<Command> {
        let path = |name: &str| self.place.join(name).display().to_string();
        let dir = format!("--tree=dir={}", path("tree"));
        let sources = match way {
            TOLD => vec![format!("--changed-from={}", path("changed")), dir],
            OVERLAY => vec!["--tree=ref=main".into(), format!("--tree=dir={}", path("overlay"))],
            _ => vec![dir],
        };
        let mut command = self.trefoil(&["commit", "--branch=main"])?;
        command.args(sources);
        Ok(command)
    }

    fn measure(&self, way: &'static str) -> Result<Row> {
        self.cx.ui.words(format_args!("{} files: {way}", number(self.files)))?;
        let command = self.commit(way)?;
        settle()?;
        let (wall, memory) = watch(command)?;
        Ok(Row { files: self.files, way, wall, memory, system_calls: None })
    }

    /// Changes files far apart, in the tree and in an overlay, and lists them.
    fn edit(&mut self) -> Result<()> {
        self.edits += 1;
        if self.dir.exists("overlay")? {
            self.dir.remove_all("overlay")?;
        }
        self.dir.mkdir("overlay", 0o755)?;
        let mut list = String::new();
        for at in 0..CHANGED {
            let path = tree::file_of(self.files * at / CHANGED);
            let (parent, name) = path.rsplit_once('/').unwrap_or((".", &path));
            for root in ["tree", "overlay"] {
                let root = self.dir.open_dir(root)?;
                root.ensure_dirs(parent, 0o755)?;
                let text = format!("edit {}\n", self.edits);
                root.open_dir(parent)?.write(name, text.as_bytes(), 0o644)?;
            }
            list += &format!("{path}\n");
        }
        self.dir.write("changed", list.as_bytes(), 0o644)?;
        Ok(())
    }
}

/// Runs a command and looks at its memory until it ends. The last look may be some milliseconds
/// old, which is little beside what is asked about.
fn watch(mut command: Command) -> Result<(f64, u64)> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    loop {
        peak = peak.max(memory_of(&child).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            let seconds = started.elapsed().as_secs_f64();
            return match status.success() {
                true => Ok((seconds, peak)),
                false => Err(CliError::failed(format!("{command:?} failed"))),
            };
        }
        sleep(LOOK);
    }
}

/// The most memory the process held until now, in bytes.
fn memory_of(child: &Child) -> Option<u64> {
    let path = PathBuf::from(format!("/proc/{}/status", child.id()));
    let text = user_files::read(&path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

impl Results {
    /// Everything in Markdown.
    pub fn markdown(&self) -> String {
        let head = ["files", "commit", "wall", "memory", "system calls"];
        let mut table = Table::new(2, &head);
        for row in &self.rows {
            table.row(vec![
                number(row.files),
                row.way.to_string(),
                time(row.wall),
                bytes(row.memory),
                row.system_calls.map_or("-".to_string(), number),
            ]);
        }
        format!(
            "Made up trees, mode archive, each commit a process of its own.\n\n{}\n{}",
            table.markdown(),
            self.promises()
        )
    }

    fn promises(&self) -> String {
        let verdict = |kept: bool| if kept { "kept" } else { "MISSED" };
        let memory = self.rows.iter().map(|row| row.memory).max().unwrap_or(0);
        let mut text = format!(
            "- memory: {} at the most, promised {}: {}\n",
            bytes(memory),
            bytes(MEMORY),
            verdict(memory < MEMORY)
        );
        for way in [TOLD, OVERLAY] {
            let calls = self.rows.iter().filter(|row| row.way == way);
            let calls: Vec<u64> = calls.filter_map(|row| row.system_calls).collect();
            if let (Some(least), Some(most)) = (calls.iter().min(), calls.iter().max()) {
                text += &format!(
                    "- {way}: {} to {} system calls, promised under {} in every size: {}\n",
                    number(*least),
                    number(*most),
                    number(CALLS),
                    verdict(*most < CALLS)
                );
            }
        }
        text
    }
}
