//! `demo`: the main job on real input, in a throw-away sysroot, beside `ostree`.

mod check;
mod report;
mod story;

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::RepoMode;
use trefoil_sysroot::deploy::DeployReport;
use trefoil_sysroot::spare::Trust;

use super::lab::machine::{Committed, Machine, REF, STATEROOT};
use super::lab::peer::{Peer, settle};
use super::lab::scratch::Scratch;
use super::lab::source::{Owner, Source};
use super::lab::table::{bytes, number, time};
use crate::context::Context;
use crate::error::{CliError, Result};
use report::Row;
use story::{EtcRoles, Version};

/// How much of /usr is taken where nothing else is asked for, in bytes: as root, and as an
/// ordinary user, for whom every deployment is a copy.
const DEFAULT_SIZES: (u64, u64) = (1_000_000_000, 200_000_000);
/// Trees that lie on the disk at the same time for an ordinary user: two repositories with
/// three deployments and two, and one to spare.
const COPIES: u64 = 8;
/// Room for directories, /etc and /boot.
const MARGIN: u64 = 1_000_000_000;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// The operating system tree: a directory with usr and etc, which is only read
    #[arg(long, value_name = "DIR", default_value = "/")]
    tree: PathBuf,
    /// Take at most so much of usr, as 500M or 3G; the largest files stay out
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,
    /// Where the throw-away sysroot is made
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Leave it there
    #[arg(long)]
    keep: bool,
}

/// A number of bytes with an optional unit K, M, G or T (powers of 1000).
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1_000,
        "M" | "m" => 1_000_000,
        "G" | "g" => 1_000_000_000,
        "T" | "t" => 1_000_000_000_000,
        other => return Err(format!("unknown unit {other}")),
    };
    let number: u64 = digits.parse().map_err(|e| format!("{e}"))?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_string())
}

/// Everything that lasts over the whole demonstration.
struct Demo<'a> {
    cx: &'a Context,
    source: Source,
    roles: EtcRoles,
    ours: Machine,
    theirs: Option<(Peer, Machine)>,
    owner: Owner,
    rows: Vec<Row>,
}

/// Runs `demo`.
pub fn run(args: DemoArgs, cx: &Context) -> Result<()> {
    let started = std::time::Instant::now();
    let scratch = Scratch::create(&args.dir, "trefoil-demo", args.keep)?;
    let mut demo = Demo::prepare(&args, cx, &scratch)?;
    demo.introduce(&args, &scratch)?;
    demo.play(&scratch)?;
    let verdict = demo.conclude()?;
    let kept = args.keep.then(|| scratch.path());
    let progress = cx.progress("cleaning up");
    drop(scratch);
    drop(progress);
    for line in report::summary(&demo.rows) {
        cx.ui.line(line)?;
    }
    cx.ui.line(&verdict.text)?;
    if let Some(path) = kept {
        cx.ui.line(format_args!("Kept: {}", path.display()))?;
    }
    cx.ui.words(format_args!("({} in all)", time(started.elapsed().as_secs_f64())))?;
    match verdict.good {
        true => Ok(()),
        false => Err(CliError::failed("libostree does not agree with what was deployed")),
    }
}

impl<'a> Demo<'a> {
    fn prepare(args: &DemoArgs, cx: &'a Context, scratch: &Scratch) -> Result<Demo<'a>> {
        let is_root = scratch.owner.0 == 0;
        let bound = if is_root { DEFAULT_SIZES.0 } else { DEFAULT_SIZES.1 };
        let progress = cx.progress("looking at the tree");
        let source = Source::open(&cx.fs, &args.tree, args.size.unwrap_or(bound), is_root)?;
        drop(progress);
        scratch.require_space(source.bytes() * if is_root { 1 } else { COPIES } + MARGIN)?;
        let mode = if is_root { RepoMode::Bare } else { RepoMode::BareUser };
        let dir = scratch.dir()?;
        let ours = Machine::create(&cx.fs, &dir, "trefoil", mode)?;
        let theirs = match Peer::find() {
            Some(peer) => Some((peer, Machine::create(&cx.fs, &dir, "ostree", mode)?)),
            None => None,
        };
        let roles = EtcRoles::choose(&source);
        let rows = Vec::new();
        Ok(Demo { cx, source, roles, ours, theirs, owner: scratch.owner, rows })
    }

    fn introduce(&self, args: &DemoArgs, scratch: &Scratch) -> Result<()> {
        let (ui, scan) = (&self.cx.ui, &self.source.usr_scan);
        ui.line(format_args!(
            "Tree: usr and etc of {}, {} entries, {}; only read.",
            args.tree.display(),
            number(self.source.entries()),
            bytes(self.source.bytes())
        ))?;
        let (large, left_out) = &scan.too_large;
        if !large.is_empty() {
            ui.line(format_args!(
                "  Left out to keep it short: the {} largest files, {} (--size takes more).",
                large.len(),
                bytes(*left_out)
            ))?;
        }
        if !scan.surplus.is_empty() {
            ui.line(format_args!(
                "  Left out because every deployment is a copy here: {} files, all over the tree.",
                number(scan.surplus.len() as u64)
            ))?;
        }
        let unfit = scan.unfit.len() + self.source.etc_scan.unfit.len();
        if unfit > 0 {
            ui.line(format_args!(
                "  Left out because OSTree or this user cannot hold or read them: {unfit} paths."
            ))?;
        }
        if !self.source.has_kernel {
            ui.line("  It has no kernel: a stand-in of 4 MB and an initramfs of 16 MB go in.")?;
        }
        let mode = self.ours.repo()?.mode();
        let place = scratch.path();
        ui.line(format_args!("Sysroot: {}, repository mode {mode}.", place.display()))?;
        if self.owner.0 != 0 {
            ui.line(
                "  Not root: all files belong to you, and libostree and Trefoil alike copy \
                 files from bare-user\n  where root would link them, so times are larger here.",
            )?;
        }
        match &self.theirs {
            Some((peer, _)) => ui.line(format_args!(
                "Beside it: ostree {} on a sysroot of its own with the same commits.\n",
                peer.version
            ))?,
            None => ui.line("ostree is not installed: nothing to compare with.\n")?,
        }
        ui.flush()
    }

    fn play(&mut self, scratch: &Scratch) -> Result<()> {
        let is_root = scratch.owner.0 == 0;
        let owner = if is_root { None } else { Some(scratch.owner) };
        let progress = self.cx.progress("committing the tree");
        let first = self.ours.commit("1", |transaction| self.source.import(transaction, owner))?;
        drop(progress);
        let mut tree = first.tree;
        self.cx.ui.line(format_args!("Version 1: the tree as it is. {}", first.checksum))?;
        self.deploy("1".to_string(), Some(first), Trust::Stat, true)?;
        for version in story::versions(&self.source, &self.roles) {
            let next = self.commit(&version, tree)?;
            tree = next.tree;
            self.deploy(version.name.to_string(), Some(next), version.trust, true)?;
            if version.name == "3" {
                self.edit_etc()?;
            }
        }
        self.cx.ui.line("Version 6 once more, by a full checkout: what recycling saves.")?;
        self.deploy("6 again".to_string(), None, Trust::Stat, false)
    }

    fn commit(&self, version: &Version, base: trefoil_repo::TreeId) -> Result<Committed> {
        let Version { name, about, edits, .. } = version;
        let next = self.ours.commit_edits(name, base, edits, self.owner)?;
        self.cx.ui.line(format_args!("Version {name}: {about}: {}.", version.summary()))?;
        Ok(next)
    }

    fn edit_etc(&self) -> Result<()> {
        self.roles.edit_locally(&self.ours.newest()?.open_dir("etc")?)?;
        if let Some((_, theirs)) = &self.theirs {
            self.roles.edit_locally(&theirs.newest()?.open_dir("etc")?)?;
        }
        self.cx.ui.line(format_args!("The administrator: {}.", self.roles.words()))
    }

    fn deploy(
        &mut self,
        label: String,
        committed: Option<Committed>,
        trust: Trust,
        recycle: bool,
    ) -> Result<()> {
        let theirs = self.deploy_theirs()?;
        settle()?;
        let progress = self.cx.progress("deploying");
        let ours = self.ours.deploy(trust, recycle)?;
        drop(progress);
        self.tell(&ours.report)?;
        self.rows.push(Row { label, commit: committed.map(|c| c.phase), ours, theirs });
        Ok(())
    }

    /// `ostree admin deploy` of what was just committed, in its own sysroot.
    fn deploy_theirs(&self) -> Result<Option<f64>> {
        let Some((peer, machine)) = &self.theirs else { return Ok(None) };
        let _progress = self.cx.progress("ostree admin deploy");
        machine.pull_from(&self.ours)?;
        settle()?;
        Ok(Some(peer.deploy(machine.path(), STATEROOT, REF)?.seconds))
    }

    fn tell(&self, report: &DeployReport) -> Result<()> {
        let ui = &self.cx.ui;
        ui.line(format_args!("  tree: {:?}: {}", report.method, report.reason))?;
        if let Some(etc) = &report.etc {
            ui.line(format_args!(
                "  /etc: {} files copied, {} links, {} directories made, {} removed, {} kept",
                number(etc.files_copied),
                etc.links_made,
                etc.dirs_made,
                etc.removed,
                number(etc.kept)
            ))?;
        }
        for conflict in &report.conflicts {
            ui.line(format_args!("  /etc conflict: {conflict}"))?;
        }
        for skipped in &report.skipped {
            ui.line(format_args!("  /etc: {skipped}"))?;
        }
        ui.flush()
    }

    fn conclude(&self) -> Result<check::Verdict> {
        self.cx.ui.line(format_args!("\n{}", report::phases(&self.rows)))?;
        self.cx.ui.line(
            "calls: counted file system operations; ostree: wall time of `ostree admin deploy` of \
             the same commit.\nThe spare held the version three before: converting it takes the \
             changes of three versions.\n",
        )?;
        self.cx.ui.flush()?;
        check::check(self.cx, &self.ours, self.theirs.as_ref())
    }
}

#[cfg(test)]
mod tests {
    /// Guards the units people write.
    #[test]
    fn sizes_have_units() {
        assert_eq!(super::parse_size("5G"), Ok(5_000_000_000));
        assert_eq!(super::parse_size("12"), Ok(12));
        super::parse_size("5X").expect_err("no such unit");
        super::parse_size("99999999999T").expect_err("too large");
    }
}
