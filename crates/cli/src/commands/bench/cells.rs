//! The measured runs, in turns.

use std::path::Path;
use std::process::Command;

use serde::Serialize;
use trefoil_fsat::Fs;
use trefoil_repo::{RepoMode, TreeId};
use trefoil_sysroot::spare::Trust;

use super::disk::Image;
use super::measure::{measure, system_calls};
use super::rows::{OSTREE, OURS, Row};
use super::{DeployBenchArgs, tree};
use crate::commands::lab::edit::{Action, Edit};
use crate::commands::lab::machine::{Machine, REF, STATEROOT};
use crate::commands::lab::peer::Peer;
use crate::commands::lab::scan::{Scan, spread};
use crate::commands::lab::scratch::Scratch;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Deploys before each cell, so that the spare lags behind by changes of that size only: the
/// three buffers hold three versions.
const WARM_UP: usize = 3;
/// The time of both first commits, which must be the same commit.
const TIMESTAMP: &str = "@1700000000";

/// A whole benchmark.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Version of the `ostree` beside us.
    pub ostree: String,
    /// Entries of the tree.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// The first commit, which both tools gave.
    pub commit: String,
    /// The cells.
    pub cells: Vec<Row>,
}

/// With `--trust=stat`.
pub const STAT: &str = "trefoil stat";
/// With `--trust=none`.
pub const NONE: &str = "trefoil none";
/// The task of committing everything.
pub const COMMIT: &str = "full commit";
/// The task of deploying without a spare.
pub const FULL: &str = "full deploy";

struct Bench<'a> {
    cx: &'a Context,
    peer: Peer,
    ours: Machine,
    theirs: Machine,
    /// Files that versions change, in the order they are used.
    files: Vec<String>,
    used: usize,
    versions: u64,
    tree: TreeId,
    rounds: usize,
    /// The system calls of `ostree` were counted.
    peer_counted: bool,
    /// Commits carry their version. The boot menu shows it, so that each deploy writes new boot
    /// entries and freezes `/boot`; without, one link changes.
    told: bool,
}

/// Runs everything that `args` ask for.
pub fn run(args: &DeployBenchArgs, cx: &Context, peer: Peer) -> Result<Results> {
    let scratch = Scratch::create(&args.dir, "trefoil-bench", false)?;
    if scratch.owner.0 != 0 {
        return Err(CliError::Advised(
            "bench deploys from repositories in mode bare, which needs root".into(),
            "run it as root, or `demo` as an ordinary user",
        ));
    }
    let image = args.image.map(|size| Image::mount(&scratch.path(), size, &cx.ui)).transpose()?;
    let place = image.as_ref().map_or(scratch.path(), |image| image.path().to_path_buf());
    let results = run_in(args, cx, peer, &place);
    drop(image);
    results
}

fn run_in(args: &DeployBenchArgs, cx: &Context, peer: Peer, place: &Path) -> Result<Results> {
    let fs = Fs::new();
    let dir = fs.open_dir(place)?;
    cx.ui.words("making the tree")?;
    tree::make(&args.recipe, &dir)?;
    let scan = Scan::of(&dir.open_dir("tree/usr")?, &|_, _| true)?;
    let ours = Machine::create(&fs, &dir, "trefoil", RepoMode::Bare)?;
    let theirs = Machine::create(&fs, &dir, "ostree", RepoMode::Bare)?;
    let (commits, commit) = full_commits(cx, &peer, &ours, &theirs, &place.join("tree"))?;
    tree::remove(place, "tree")?;
    let repo = ours.repo()?;
    let tree = TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(REF)?)?);
    let files = spread(scan.editable().into_iter().filter(|p| !p.starts_with("/etc/")).collect());
    let rounds = args.rounds;
    let ostree = peer.version.clone();
    let mut bench = Bench {
        cx,
        peer,
        ours,
        theirs,
        files,
        used: 0,
        versions: 0,
        tree,
        rounds,
        peer_counted: false,
        told: false,
    };
    let mut cells = commits;
    cells.extend(bench.full_deploys()?);
    for changed in &args.changed {
        cells.extend(bench.changed(*changed)?);
    }
    bench.told = true;
    if let Some(changed) = args.changed.first() {
        cells.extend(bench.changed(*changed)?);
    }
    Ok(Results { ostree, entries: scan.entries(), bytes: scan.bytes(), commit, cells })
}

/// One full commit by each; both must come to the same checksum.
fn full_commits(
    cx: &Context,
    peer: &Peer,
    ours: &Machine,
    theirs: &Machine,
    tree: &Path,
) -> Result<(Vec<Row>, String)> {
    let args = |machine: &Machine| {
        [
            "commit".to_string(),
            format!("--repo={}", machine.repo_path().display()),
            format!("--branch={REF}"),
            format!("--tree=dir={}", tree.display()),
            format!("--timestamp={TIMESTAMP}"),
        ]
    };
    let mut commands = [trefoil()?, peer.command()];
    commands[0].args(args(ours));
    commands[1].args(args(theirs));
    let mut cells = Vec::new();
    for (command, tool) in commands.into_iter().zip([OURS, OSTREE]) {
        cx.ui.words(format_args!("{COMMIT}: {tool}"))?;
        let mut cell = Row::new(COMMIT, tool);
        cell.samples.push(measure(command)?);
        cells.push(cell);
    }
    let commit = |machine: &Machine| -> Result<_> { Ok(machine.repo()?.resolve_rev(REF)?) };
    let (left, right) = (commit(ours)?, commit(theirs)?);
    if left != right {
        return Err(CliError::failed(format!("trefoil committed {left}, ostree {right}")));
    }
    Ok((cells, left.to_hex()))
}

impl Bench<'_> {
    fn full_deploys(&mut self) -> Result<Vec<Row>> {
        let mut cells = [OURS, OSTREE].map(|tool| Row::new(FULL, tool));
        for round in 0..self.rounds {
            self.cx.ui.words(format_args!("{FULL}: {} of {}", round + 1, self.rounds))?;
            let mut commands = [self.ours(Trust::Stat)?, self.theirs()];
            commands[0].arg("--no-recycle");
            in_turns(round, &mut cells, commands)?;
        }
        Ok(cells.into())
    }

    /// All cells of one size of change.
    fn changed(&mut self, changed: usize) -> Result<Vec<Row>> {
        for _ in 0..WARM_UP {
            self.next_version(changed)?;
            self.ours.deploy(Trust::Stat, true)?;
        }
        let task = match self.told {
            true => format!("{changed} changed, new version"),
            false => changed.to_string(),
        };
        let [mut ostree, mut stat, mut none] =
            [OSTREE, STAT, NONE].map(|tool| Row::new(&*task, tool));
        for round in 0..self.rounds {
            let kind = if self.told { " in a new version" } else { "" };
            let (at, rounds) = (round + 1, self.rounds);
            self.cx.ui.words(format_args!("{changed} changed{kind}: {at} of {rounds}"))?;
            for (ours, trust) in [(&mut stat, Trust::Stat), (&mut none, Trust::None)] {
                self.next_version(changed)?;
                let mut pair = [std::mem::replace(ours, Row::new("", "")), ostree];
                in_turns(round, &mut pair, [self.ours(trust)?, self.theirs()])?;
                let [done, theirs] = pair;
                (*ours, ostree) = (done, theirs);
            }
        }
        let scratch = self.ours.path().to_path_buf();
        for (ours, trust) in [(&mut stat, Trust::Stat), (&mut none, Trust::None)] {
            self.next_version(changed)?;
            ours.system_calls = system_calls(&self.ours(trust)?, &scratch)?;
        }
        // More than a million calls, each stopped twice, take minutes; and they are as many
        // whatever changed.
        if !std::mem::replace(&mut self.peer_counted, true) {
            ostree.system_calls = system_calls(&self.theirs(), &scratch)?;
        }
        Ok(vec![ostree, stat, none])
    }

    /// Commits the next version and brings it to both sysroots.
    fn next_version(&mut self, changed: usize) -> Result<()> {
        let take = changed.min(self.files.len());
        let path = |at: usize| &self.files[(self.used + at) % self.files.len()];
        let edit = |at| Edit { path: format!("usr{}", path(at)), action: Action::Append };
        let edits: Vec<Edit> = (0..take).map(edit).collect();
        self.used += take;
        self.versions += 1;
        let version = self.versions.to_string();
        let version = (version.as_str(), self.told);
        self.tree = self.ours.commit_edits_as(version, self.tree, &edits, (0, 0))?.tree;
        self.theirs.pull_from(&self.ours)
    }

    fn ours(&self, trust: Trust) -> Result<Command> {
        let mut command = trefoil()?;
        command.args(deploy_args(&self.ours)).arg(format!("--trust={}", trust.word()));
        Ok(command)
    }

    fn theirs(&self) -> Command {
        let mut command = self.peer.command();
        command.args(deploy_args(&self.theirs));
        command
    }
}

/// Measures both, the other one first in every second round.
fn in_turns(round: usize, cells: &mut [Row; 2], commands: [Command; 2]) -> Result<()> {
    let mut turns: Vec<_> = cells.iter_mut().zip(commands).collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    for (cell, command) in turns {
        cell.samples.push(measure(command)?);
    }
    Ok(())
}

/// This program, as a process of its own.
fn trefoil() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
        .env("OSTREE_SYSROOT_OPTS", "bootloader-naming-1");
    Ok(command)
}

fn deploy_args(machine: &Machine) -> Vec<String> {
    vec![
        "admin".to_string(),
        "deploy".to_string(),
        format!("--sysroot={}", machine.path().display()),
        format!("--os={STATEROOT}"),
        REF.to_string(),
    ]
}
