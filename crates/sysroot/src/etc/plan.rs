use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use trefoil_fsat::{Dir, FileKind};

use super::diff::LocalChanges;
use super::overlay::{Node, Overlay};
use super::sides::Sides;
use super::simulate::Simulation;
use super::{EtcError, Result};

/// What the merge does at one path, beyond taking the new default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// The default is left out, with all below it.
    Delete {
        /// The path below `etc`.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    /// A local file or symbolic link is copied.
    CopyLocal {
        /// The path below `etc`.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// A local directory that the new defaults do not have is made.
    Mkdir {
        /// The path below `etc`.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    /// A default directory gets owner, mode and attributes of the local one.
    SetMetadata {
        /// The path below `etc`.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
}

/// How both sides changed one path, and what becomes of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Changed on both sides: the local one stays.
    BothModified,
    /// New on both sides: the local one stays.
    BothAdded,
    /// Changed locally, removed from the defaults: the local one stays.
    DefaultRemoved,
    /// Removed locally, changed in the defaults: it stays away.
    LocalRemoved,
    /// Only the mode or owner of a default directory was changed locally, and nothing in it:
    /// it goes back to the default.
    DirectoryReset,
    /// A local directory took the place of a default file that is a directory now: what is in
    /// the local one is not taken over.
    DirectoryDropped,
    /// A directory on the way became a symbolic link in the defaults: the local file goes
    /// where the link leads.
    ThroughLink,
}

impl ConflictKind {
    /// The outcome in words.
    pub const fn words(self) -> &'static str {
        match self {
            ConflictKind::BothModified => "changed on both sides, local version kept",
            ConflictKind::BothAdded => "added on both sides, local version kept",
            ConflictKind::DefaultRemoved => "changed locally, no longer a default, kept",
            ConflictKind::LocalRemoved => "removed locally, default changed, left out",
            ConflictKind::DirectoryReset => "directory changed locally, back to the default",
            ConflictKind::DirectoryDropped => {
                "local directory dropped, the default is a directory of its own now"
            }
            ConflictKind::ThroughLink => "put where a link leads, the default is a link now",
        }
    }
}

/// One path that both sides changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The path below `etc`.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// How.
    pub kind: ConflictKind,
    /// Both sides came to the same file.
    pub identical: bool,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = if self.identical { " (both are the same)" } else { "" };
        write!(f, "{}: {}{same}", self.path.display(), self.kind.words())
    }
}

/// Why a path cannot be merged.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClashKind {
    /// A local file where the new defaults have a directory.
    DefaultsToDirectory,
    /// A directory above it is a file in the new defaults.
    ParentIsFile,
    /// A directory above it is a symbolic link in the new defaults that leads nowhere, round in
    /// circles, or out of `etc`.
    ParentLinkLeaves,
}

/// A path that cannot be merged; nothing is written while there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clash {
    /// The path below `etc`.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Why.
    pub kind: ClashKind,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            ClashKind::DefaultsToDirectory => write!(
                f,
                "Modified config file newly defaults to directory '{path}', cannot merge; \
                 move or remove the local file"
            ),
            ClashKind::ParentIsFile => write!(
                f,
                "'{path}' is changed locally, but a directory above it newly defaults to a \
                 file (Not a directory); move or remove the local change"
            ),
            ClashKind::ParentLinkLeaves => write!(
                f,
                "'{path}' is changed locally, but a directory above it newly defaults to a \
                 symbolic link that leads to no directory in /etc; move or remove the local change"
            ),
        }
    }
}

/// A local node that is not carried over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The path below `etc`.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What it is: `fifo`, `socket`, `character device`, `block device`.
    pub kind: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} not carried over", self.path.display(), self.kind)
    }
}

/// How a merge is done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Copy extended attributes; libostree's debug flag `no-xattrs` turns it off.
    pub xattrs: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions { xattrs: true }
    }
}

/// The worked out result of a merge: a plain value that the two ways of applying it execute.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MergePlan {
    /// Paths modified locally.
    pub modified: usize,
    /// Paths removed locally.
    pub removed: usize,
    /// Paths added locally.
    pub added: usize,
    /// What happens where, in ascending order of path. Not named paths take the new default.
    pub actions: Vec<Action>,
    /// What both sides changed.
    pub conflicts: Vec<Conflict>,
    /// What makes the merge impossible.
    pub clashes: Vec<Clash>,
    /// What is left behind.
    pub skipped: Vec<Skipped>,
    #[serde(skip)]
    pub(crate) overlay: Overlay,
    #[serde(skip)]
    pub(crate) options: PlanOptions,
}

impl MergePlan {
    /// Fails with the first path that cannot be merged.
    pub fn check(&self) -> Result<()> {
        match self.clashes.first() {
            Some(clash) => Err(EtcError::Clash(clash.clone())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MergePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/etc: {} modified, {} removed, {} added",
            self.modified, self.removed, self.added
        )?;
        self.clashes.iter().try_for_each(|c| write!(f, "\n  cannot merge: {c}"))?;
        self.conflicts.iter().try_for_each(|c| write!(f, "\n  {c}"))?;
        self.skipped.iter().try_for_each(|s| write!(f, "\n  {s}"))
    }
}

/// Works out the new `etc` from the local changes; reads, writes nothing.
///
/// `local` is the merge deployment's `etc` with what [`super::diff`] found in it. Without a
/// merge deployment the result is the new defaults, less the stamp file `.updated`, which a
/// fresh deployment never has: its absence lets systemd see that there was an update.
pub fn plan(
    sides: Sides<'_>,
    local: Option<(&Dir, &LocalChanges)>,
    options: PlanOptions,
) -> Result<MergePlan> {
    let mut simulation = Simulation::new(sides, local.map(|(dir, _)| dir));
    let mut plan = MergePlan { options, ..MergePlan::default() };
    if let Some((_, changes)) = local {
        simulation.run(changes)?;
        plan.modified = changes.modified.len();
        plan.removed = changes.removed.len();
        plan.added = changes.added.len();
    }
    simulation.drop_update_stamp()?;
    plan.actions = simulation.overlay.iter().map(action).collect();
    plan.overlay = simulation.overlay;
    plan.conflicts = simulation.conflicts;
    plan.clashes = simulation.clashes;
    plan.skipped = simulation.skipped;
    plan.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

fn action((path, node): (&PathBuf, &Node)) -> Action {
    let path = path.clone();
    match node {
        Node::Absent => Action::Delete { path },
        Node::Copy { stat, .. } => {
            let size = if stat.kind() == FileKind::Regular { stat.size } else { 0 };
            Action::CopyLocal { path, size }
        }
        Node::Dir { opaque: true, .. } => Action::Mkdir { path },
        Node::Dir { opaque: false, .. } => Action::SetMetadata { path },
    }
}

/// JSON knows only UTF-8; other names are shown as well as it can.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
