//! Which objects a set of commits needs.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::object::{ObjectName, ObjectType};

use crate::{CommitState, Repo, RepoError, Result};

/// Fewer directories than this are read on one thread: handing them out costs more.
const PARALLEL_FROM: usize = 16;

/// How many parents of a commit belong to it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// So many; 0 is the commit alone.
    Parents(u32),
    /// All that are there.
    Unlimited,
}

impl Depth {
    /// The number as libostree's `--depth` takes it: -1 is all, other negative ones are 0.
    pub fn from_arg(depth: i64) -> Self {
        match depth {
            -1 => Depth::Unlimited,
            n => Depth::Parents(u32::try_from(n.max(0)).unwrap_or(u32::MAX)),
        }
    }

    /// What is left for the parent, `None` where the parent no longer belongs to it.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Depth::Unlimited => Some(self),
            Depth::Parents(0) => None,
            Depth::Parents(n) => Some(Depth::Parents(n - 1)),
        }
    }
}

/// A checksum is random already: its first bytes serve as its hash.
#[derive(Clone, Default)]
pub struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    // The length prefix of the array says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A set of checksums.
pub type ChecksumSet = HashSet<Checksum, BuildHasherDefault<FirstBytes>>;

/// The objects that were reached, by type.
#[derive(Clone, Debug, Default)]
pub struct Reachable {
    /// Commits that exist.
    pub commits: ChecksumSet,
    /// Directory contents.
    pub dirtrees: ChecksumSet,
    /// Directory metadata.
    pub dirmetas: ChecksumSet,
    /// File contents.
    pub files: ChecksumSet,
}

impl Reachable {
    /// Whether this object was reached. Other types than the four never are.
    pub fn contains(&self, name: &ObjectName) -> bool {
        match name.kind {
            ObjectType::Commit => self.commits.contains(&name.checksum),
            ObjectType::DirTree => self.dirtrees.contains(&name.checksum),
            ObjectType::DirMeta => self.dirmetas.contains(&name.checksum),
            ObjectType::File => self.files.contains(&name.checksum),
            _ => false,
        }
    }

    /// How many objects were reached.
    pub fn len(&self) -> usize {
        self.commits.len() + self.dirtrees.len() + self.dirmetas.len() + self.files.len()
    }

    /// Whether nothing was reached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All names, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = ObjectName> + '_ {
        let of = |set: &'_ ChecksumSet, kind| {
            set.iter().map(move |c| ObjectName::new(*c, kind)).collect::<Vec<_>>()
        };
        of(&self.commits, ObjectType::Commit)
            .into_iter()
            .chain(of(&self.dirtrees, ObjectType::DirTree))
            .chain(of(&self.dirmetas, ObjectType::DirMeta))
            .chain(of(&self.files, ObjectType::File))
    }
}

/// Collects the objects of commits, one commit after the other: what an earlier one reached
/// is not read again, so a second commit costs only its differences.
///
/// Directories of one level are read by several threads.
#[derive(Debug)]
pub struct Traversal<'a> {
    repo: &'a Repo,
    commits_only: bool,
    collect_bad: bool,
    reachable: Reachable,
    depths: HashMap<Checksum, Depth>,
    bad: Vec<(ObjectName, RepoError)>,
}

impl<'a> Traversal<'a> {
    /// Starts with nothing reached.
    pub fn new(repo: &'a Repo) -> Self {
        Traversal {
            repo,
            commits_only: false,
            collect_bad: false,
            reachable: Reachable::default(),
            depths: HashMap::new(),
            bad: Vec::new(),
        }
    }

    /// Follows only parents and reads no directory.
    pub fn commits_only(mut self, on: bool) -> Self {
        self.commits_only = on;
        self
    }

    /// Goes on past directory objects that are missing or broken and keeps them for
    /// [`Traversal::take_bad`] instead of failing.
    pub fn collect_bad(mut self) -> Self {
        self.collect_bad = true;
        self
    }

    /// Adds a commit, what it needs, and `depth` of its parents.
    ///
    /// A commit that does not exist adds nothing: histories may end in the void, as
    /// libostree has it. A partial commit may lack directories.
    ///
    /// # Errors
    /// A commit that cannot be parsed, a directory that a complete commit lacks.
    pub fn add(&mut self, commit: &Checksum, depth: Depth) -> Result<()> {
        let mut next = Some((*commit, depth));
        while let Some((checksum, depth)) = next {
            // Seen with at least this depth: its parents were followed far enough too.
            if self.depths.get(&checksum).is_some_and(|seen| *seen >= depth) {
                return Ok(());
            }
            let Some(commit) = load_commit_opt(self.repo, &checksum)? else { return Ok(()) };
            self.depths.insert(checksum, depth);
            if self.reachable.commits.insert(checksum) && !self.commits_only {
                let partial = self.repo.commit_state(&checksum)? != CommitState::Normal;
                self.reachable.dirmetas.insert(commit.root_meta);
                self.add_tree(commit.root_tree, partial)?;
            }
            next = commit.parent.zip(depth.next());
        }
        Ok(())
    }

    /// Adds a directory and what is below it.
    ///
    /// # Errors
    /// Where an object is missing, unless `partial`, or broken.
    pub fn add_tree(&mut self, root: Checksum, partial: bool) -> Result<()> {
        let mut level = Vec::new();
        if self.reachable.dirtrees.insert(root) {
            level.push(root);
        }
        while !level.is_empty() {
            let repo = self.repo;
            let read: Vec<_> = if level.len() < PARALLEL_FROM {
                level.iter().map(|c| read_children(repo, c)).collect()
            } else {
                level.par_iter().map(|c| read_children(repo, c)).collect()
            };
            let mut below = Vec::new();
            for (checksum, children) in level.iter().zip(read) {
                match children {
                    Ok(children) => self.merge(children, &mut below),
                    Err(e) if partial && e.is_not_found() => {}
                    Err(e) if self.collect_bad => {
                        self.bad.push((ObjectName::new(*checksum, ObjectType::DirTree), e));
                    }
                    Err(e) => return Err(e),
                }
            }
            level = below;
        }
        Ok(())
    }

    fn merge(&mut self, children: Children, below: &mut Vec<Checksum>) {
        self.reachable.files.extend(children.files);
        for (tree, meta) in children.dirs {
            self.reachable.dirmetas.insert(meta);
            if self.reachable.dirtrees.insert(tree) {
                below.push(tree);
            }
        }
    }

    /// The set so far.
    pub fn reachable(&self) -> &Reachable {
        &self.reachable
    }

    /// Ends the traversal with its set.
    pub fn into_reachable(self) -> Reachable {
        self.reachable
    }

    /// The directory objects found broken since the last call, see [`Traversal::collect_bad`].
    pub fn take_bad(&mut self) -> Vec<(ObjectName, RepoError)> {
        std::mem::take(&mut self.bad)
    }
}

#[derive(Default)]
struct Children {
    files: Vec<Checksum>,
    dirs: Vec<(Checksum, Checksum)>,
}

fn read_children(repo: &Repo, checksum: &Checksum) -> Result<Children> {
    let bytes = repo.load_metadata(ObjectType::DirTree, checksum)?;
    let view = DirTreeView::parse(&bytes).map_err(|source| RepoError::Corrupt {
        name: ObjectName::new(*checksum, ObjectType::DirTree),
        source,
    })?;
    Ok(Children {
        files: view.files().map(|(_, c)| c).collect(),
        dirs: view.dirs().map(|(_, tree, meta)| (tree, meta)).collect(),
    })
}

/// A commit, `None` where the repository does not have it.
pub(crate) fn load_commit_opt(repo: &Repo, checksum: &Checksum) -> Result<Option<Commit>> {
    match repo.load_commit(checksum) {
        Ok(commit) => Ok(Some(commit)),
        Err(RepoError::ObjectMissing { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}
