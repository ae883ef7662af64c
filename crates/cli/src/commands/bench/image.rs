//! `bench image`: a disk image to the next version, beside the same with stock parts.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde::Serialize;
use trefoil_fsat::{Dir, Fs};
use trefoil_image::{Partition, Place, Role, Surroundings, status};
use trefoil_repo::{RepoMode, TreeId};
use trefoil_sysroot::SysrootOptions;

use super::measure::{Sample, measure};
use super::rows::{REAL, verdict};
use super::tree;
use crate::commands::demo::parse_size;
use crate::commands::lab::edit::{Action, Edit};
use crate::commands::lab::machine::{Machine, REF, STATEROOT};
use crate::commands::lab::peer::{Peer, run, settle};
use crate::commands::lab::scan::{Scan, spread};
use crate::commands::lab::scratch::Scratch;
use crate::commands::lab::table::{Table, bytes, median, number, time};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::user_files;

/// Arguments of `bench image`.
#[derive(Args, Debug)]
pub struct ImageBenchArgs {
    #[command(flatten)]
    recipe: tree::Recipe,
    /// How many files change from version to version
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub changed: usize,
    /// Measured updates by each way
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub rounds: usize,
    /// Size of each of the two images
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "20G")]
    size: u64,
    /// Where everything is made
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// All samples of one way.
#[derive(Debug, Serialize)]
struct Row {
    way: &'static str,
    samples: Vec<Sample>,
    /// Bytes written to the loop device, for each sample.
    to_image: Vec<u64>,
}

/// A whole benchmark of updates.
#[derive(Debug, Serialize)]
pub struct Results {
    ostree: String,
    entries: u64,
    bytes: u64,
    rows: Vec<Row>,
}

const STOCK: &str = "losetup, mount, ostree, umount";
const STAT: &str = "trefoil image update";
const NONE: &str = "trefoil image update --trust=none";
/// Updates before the measured ones: the three buffers hold three versions.
const WARM_UP: usize = 3;
/// What Trefoil promises: how many times less wall time, and seconds at most.
const PROMISE: (f64, f64) = (30.0, 2.0);

/// The stock way. Prints the bytes written to the device.
const SCRIPT: &str = r#"
set -e
device=$(losetup --find --show --offset "$OFFSET" --sizelimit "$SIZE" "$IMAGE")
trap 'umount "$MOUNT" 2>/dev/null || :; losetup --detach "$device" 2>/dev/null || :' EXIT
written() { set -- $(cat "/sys/block/${device#/dev/}/stat"); echo $(($7 * 512)); }
before=$(written)
mount "$device" "$MOUNT"
ostree pull-local --repo="$MOUNT/ostree/repo" "$SOURCE" "$REF" >/dev/null
ostree admin deploy --sysroot="$MOUNT" --os="$STATEROOT" "$REF" >/dev/null
umount "$MOUNT"
after=$(written)
losetup --detach "$device"
echo $((after - before)) >"$WRITTEN"
"#;

/// The versions, and the two images that follow them.
struct Bench {
    place: PathBuf,
    source: Machine,
    root: Partition,
    files: Vec<String>,
    changed: usize,
    used: usize,
    versions: u64,
    tree: TreeId,
}

/// Runs everything that `args` ask for.
pub fn measure_images(args: &ImageBenchArgs, cx: &Context, peer: &Peer) -> Result<Results> {
    let scratch = Scratch::create(&args.dir, "trefoil-bench", false)?;
    if scratch.owner.0 != 0 {
        let hint = "run it as root";
        return Err(CliError::Advised("bench image attaches images".into(), hint));
    }
    let (fs, place) = (Fs::new(), scratch.path());
    let dir = fs.open_dir(&place)?;
    cx.ui.words("making the tree and two images of it")?;
    tree::make(&args.recipe, &dir)?;
    let scan = Scan::of(&dir.open_dir("tree/usr")?, &|_, _| true)?;
    let mut bench = Bench::new(&fs, &dir, &scan, args)?;
    for _ in 0..WARM_UP {
        bench.next_version()?;
        run(bench.ours("stat")?)?;
    }
    run(bench.stock())?;
    let mut rows =
        [STOCK, STAT, NONE].map(|way| Row { way, samples: Vec::new(), to_image: Vec::new() });
    for round in 0..args.rounds {
        cx.ui.words(format_args!("{} changed: {} of {}", args.changed, round + 1, args.rounds))?;
        for trust in ["stat", "none"] {
            bench.next_version()?;
            let ours = if trust == "stat" { 1 } else { 2 };
            let mut turns = [(0, bench.stock()), (ours, bench.ours(trust)?)];
            if round % 2 == 1 {
                turns.reverse();
            }
            for (row, command) in turns {
                settle()?;
                rows[row].samples.push(measure(command)?);
                rows[row].to_image.push(bench.written()?);
            }
        }
    }
    let ostree = peer.version.clone();
    Ok(Results { ostree, entries: scan.entries(), bytes: scan.bytes(), rows: rows.into() })
}

impl Bench {
    fn new(fs: &Fs, dir: &Dir, scan: &Scan, args: &ImageBenchArgs) -> Result<Bench> {
        let place = dir.path().to_path_buf();
        let source = Machine::create(fs, dir, "source", RepoMode::Bare)?;
        let mut commit = trefoil()?;
        commit.arg("commit").arg(format!("--repo={}", source.repo_path().display()));
        commit.arg(format!("--branch={REF}"));
        commit.arg(format!("--tree=dir={}", place.join("tree").display()));
        run(commit)?;
        tree::remove(&place, "tree")?;
        let repo = source.repo()?;
        let tree = TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(REF)?)?);
        for name in ["ours.img", "stock.img"] {
            let mut create = trefoil()?;
            create.args(["image", "create"]).arg(place.join(name)).arg(REF);
            create.arg(format!("--repo={}", source.repo_path().display()));
            create.arg(format!("--os={STATEROOT}")).arg(format!("--size={}", args.size));
            run(create)?;
        }
        dir.mkdir("mount", 0o700)?;
        let around = Surroundings { fs: fs.clone(), sysroot: SysrootOptions::default() };
        let found = status(&around, &Place::open(fs, &place.join("ours.img"))?)?;
        let root = found.layout.find(Role::Root).cloned();
        let root = root.ok_or_else(|| CliError::failed("the image has no root partition"))?;
        let files =
            spread(scan.editable().into_iter().filter(|p| !p.starts_with("/etc/")).collect());
        let changed = args.changed.min(files.len());
        Ok(Bench { place, source, root, files, changed, used: 0, versions: 0, tree })
    }

    fn next_version(&mut self) -> Result<()> {
        let path = |at: usize| &self.files[(self.used + at) % self.files.len()];
        let edit = |at| Edit { path: format!("usr{}", path(at)), action: Action::Append };
        let edits: Vec<Edit> = (0..self.changed).map(edit).collect();
        self.used += self.changed;
        self.versions += 1;
        let version = self.versions.to_string();
        self.tree = self.source.commit_edits(&version, self.tree, &edits, (0, 0))?.tree;
        Ok(())
    }

    fn ours(&self, trust: &str) -> Result<Command> {
        let mut command = Command::new("sh");
        let script = r#"exec "$0" "$@" >"$REPORT""#;
        command.args(["-c", script]).arg(std::env::current_exe()?);
        command.args(["image", "update", "--json"]).arg(self.place.join("ours.img")).arg(REF);
        command.arg(format!("--repo={}", self.source.repo_path().display()));
        command.arg(format!("--trust={trust}"));
        command.env("REPORT", self.place.join("written"));
        Ok(command)
    }

    fn stock(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).env("LC_ALL", "C");
        command.env("OFFSET", self.root.start.to_string());
        command.env("SIZE", self.root.size.to_string());
        command.env("IMAGE", self.place.join("stock.img"));
        command.env("MOUNT", self.place.join("mount"));
        command.env("SOURCE", self.source.repo_path());
        command.env("REF", REF).env("STATEROOT", STATEROOT);
        command.env("WRITTEN", self.place.join("written"));
        command
    }

    /// Bytes that the last update wrote to the device: a number, or our report.
    fn written(&self) -> Result<u64> {
        let text = user_files::read(&self.place.join("written"))?;
        let value: serde_json::Value = serde_json::from_str(&text)?;
        let number = value.as_u64().or_else(|| value.get("bytes_written")?.as_u64());
        number.ok_or_else(|| CliError::failed(format!("not a number of bytes: {text}")))
    }
}

/// This program, as a process of its own.
fn trefoil() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

impl Row {
    fn wall(&self) -> f64 {
        median(self.samples.iter().map(|s| s.wall).collect())
    }
}

impl Results {
    /// Everything in Markdown.
    pub fn markdown(&self, changed: usize) -> String {
        let mut table =
            Table::new(1, &["way", "wall", "CPU", "written to the image", "runs", "less wall"]);
        let stock = self.rows.first().map_or(0.0, Row::wall);
        for row in &self.rows {
            let mut to_image = row.to_image.clone();
            to_image.sort_unstable();
            let ratio = stock / row.wall();
            table.row(vec![
                row.way.to_string(),
                time(row.wall()),
                time(median(row.samples.iter().map(|s| s.cpu).collect())),
                to_image.get(to_image.len() / 2).copied().map_or("-".to_string(), bytes),
                row.samples.len().to_string(),
                if row.way == STOCK { "-".to_string() } else { format!("{ratio:.1}x") },
            ]);
        }
        format!(
            "Tree: {} entries, {}; {changed} changed; ostree {}.\nMedians; the ways took turns, \
             after `sync`.\n\n{}\n{}",
            number(self.entries),
            bytes(self.bytes),
            self.ostree,
            table.markdown(),
            self.promises(stock)
        )
    }

    fn promises(&self, stock: f64) -> String {
        if self.entries < REAL {
            return format!(
                "What is promised holds for trees of {} entries or more.\n",
                number(REAL)
            );
        }
        let (least, most) = PROMISE;
        let ours = self.rows.iter().filter(|row| row.way != STOCK);
        let line = |row: &Row| {
            let (ratio, wall) = (stock / row.wall(), row.wall());
            let (faster, soon) = (verdict(ratio >= least), verdict(wall <= most));
            let took = time(wall);
            format!(
                "- {}: {ratio:.1}x, promised {least}x: {faster}; {took}, promised {most} s: {soon}\n",
                row.way
            )
        };
        ours.map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: verdicts are given for real trees only, and a miss is called one.
    #[test]
    fn a_miss_is_called_one() {
        let sample = |wall| Sample { wall, cpu: 0.0, written: None };
        let row = |way, wall| Row { way, samples: vec![sample(wall)], to_image: vec![1] };
        let rows = vec![row(STOCK, 10.0), row(STAT, 0.5), row(NONE, 0.2)];
        let results = Results { ostree: "1".into(), entries: REAL, bytes: 1, rows };
        let text = results.markdown(10);
        assert!(text.contains("update: 20.0x, promised 30x: MISSED"), "{text}");
        assert!(text.contains("none: 50.0x, promised 30x: kept"), "{text}");
        let small = Results { entries: 10, ..results };
        assert!(!small.markdown(10).contains("kept"));
    }
}
