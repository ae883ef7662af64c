//! What a commit has that another has not, at the cost of the directories that differ.

use std::collections::{HashMap, HashSet};

use trefoil_delta::TreePatch;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::object::{ObjectName, ObjectType};

use crate::lookup::parse_dirtree;
use crate::mutable_tree::MAX_DEPTH;
use crate::traverse::ChecksumSet;
use crate::{Repo, RepoError, Result, TreeId};

/// Dirtrees of fewer bytes are sent, and not told by their difference.
const PATCHED_LEAST: usize = 2 << 10;
/// A difference has to be so many times smaller than the dirtree.
const PATCHED_GAIN: usize = 4;
/// All dirtrees told by their difference have to have so many bytes together: they get a part of
/// their own, which one more request is made for by who does not know of differences.
const PATCHED_TOGETHER: usize = 128 << 10;

/// A file of the new commit that the old one does not have.
#[derive(Clone, Debug)]
pub(super) struct NewFile {
    pub checksum: Checksum,
    /// The names it has, not their directories.
    pub names: Vec<String>,
    /// What the old commit has at the same path.
    pub same_path: Option<Checksum>,
}

/// The difference between two commits.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// New dirtrees and dirmetas, in the order of the tree.
    pub metadata: Vec<ObjectName>,
    /// New files, in the order of the tree.
    pub files: Vec<NewFile>,
    /// Files of the old commit as far as they were met, by name; the same file may be there
    /// more than once.
    pub old_files: Vec<(String, Checksum)>,
    /// How the large ones of the new dirtrees are made of old ones.
    pub patches: Vec<TreePatch>,
    /// How many dirtrees were read.
    pub dirtrees_read: u64,
}

/// Compares the trees of two commits; without an old one everything is new.
///
/// Only directories that differ are read, and those that one side alone has. What moved within
/// these is not new. Something new that also lies in an unchanged directory is taken for new:
/// finding it there would mean reading the whole tree.
pub(super) fn find(repo: &Repo, old: Option<TreeId>, new: TreeId) -> Result<Difference> {
    let mut walk = Walk {
        repo,
        new_trees: Vec::new(),
        seen_new: ChecksumSet::default(),
        new_metas: Vec::new(),
        files: Vec::new(),
        places: HashMap::new(),
        old: Old::default(),
        patches: Vec::new(),
        dirtrees_read: 0,
    };
    if let Some(old) = old {
        walk.old.metas.insert(old.meta);
        walk.old.trees.insert(old.tree);
    }
    walk.new_metas.push(new.meta);
    walk.pair(old.map(|old| old.tree), new.tree, 0)?;
    Ok(walk.finish())
}

#[derive(Default)]
struct Old {
    files: Vec<(String, Checksum)>,
    known: ChecksumSet,
    trees: ChecksumSet,
    metas: ChecksumSet,
    read: ChecksumSet,
}

struct Walk<'a> {
    repo: &'a Repo,
    new_trees: Vec<Checksum>,
    seen_new: ChecksumSet,
    new_metas: Vec<Checksum>,
    files: Vec<NewFile>,
    places: HashMap<Checksum, usize>,
    old: Old,
    /// With the lengths of what they make, in bytes.
    patches: Vec<(TreePatch, usize)>,
    dirtrees_read: u64,
}

impl Walk<'_> {
    fn load(&mut self, tree: &Checksum) -> Result<Vec<u8>> {
        self.dirtrees_read += 1;
        self.repo.load_metadata(ObjectType::DirTree, tree)
    }

    fn pair(&mut self, old: Option<Checksum>, new: Checksum, depth: usize) -> Result<()> {
        if old == Some(new) || !self.seen_new.insert(new) {
            return Ok(());
        }
        check_depth(&new, depth)?;
        self.new_trees.push(new);
        let new_bytes = self.load(&new)?;
        let new_tree = parse_dirtree(&new_bytes, &new)?;
        let old_bytes = match old {
            Some(old) => self.load(&old)?,
            None => return self.added(&new_bytes, &new, depth),
        };
        let old = old.unwrap_or(new);
        let old_tree = parse_dirtree(&old_bytes, &old)?;
        self.old.read.insert(old);
        if new_bytes.len() >= PATCHED_LEAST {
            self.patch((old, &old_tree), (new, &new_tree), new_bytes.len());
        }
        for (name, checksum) in old_tree.files() {
            self.old.known.insert(checksum);
            self.old.files.push((name.to_string(), checksum));
        }
        for (name, checksum) in new_tree.files() {
            let before = old_tree.find_file(name);
            if before != Some(checksum) {
                self.file(name, checksum, before);
            }
        }
        for (name, tree, meta) in old_tree.dirs() {
            self.old.trees.insert(tree);
            self.old.metas.insert(meta);
            if new_tree.find_dir(name).is_none() {
                self.removed(tree, depth + 1)?;
            }
        }
        for (name, tree, meta) in new_tree.dirs() {
            let before = old_tree.find_dir(name);
            if before.is_none_or(|(_, old_meta)| old_meta != meta) {
                self.new_metas.push(meta);
            }
            self.pair(before.map(|(tree, _)| tree), tree, depth + 1)?;
        }
        Ok(())
    }

    fn patch(
        &mut self,
        old: (Checksum, &DirTreeView<'_>),
        new: (Checksum, &DirTreeView<'_>),
        len: usize,
    ) {
        let patch = TreePatch::between(old, new);
        if patch.size() * PATCHED_GAIN <= len {
            self.patches.push((patch, len));
        }
    }

    fn added(&mut self, bytes: &[u8], checksum: &Checksum, depth: usize) -> Result<()> {
        let tree = parse_dirtree(bytes, checksum)?;
        for (name, checksum) in tree.files() {
            self.file(name, checksum, None);
        }
        for (_, below, meta) in tree.dirs() {
            self.new_metas.push(meta);
            self.pair(None, below, depth + 1)?;
        }
        Ok(())
    }

    fn removed(&mut self, tree: Checksum, depth: usize) -> Result<()> {
        if !self.old.read.insert(tree) {
            return Ok(());
        }
        check_depth(&tree, depth)?;
        let bytes = self.load(&tree)?;
        let view = parse_dirtree(&bytes, &tree)?;
        for (name, checksum) in view.files() {
            self.old.known.insert(checksum);
            self.old.files.push((name.to_string(), checksum));
        }
        for (_, below, meta) in view.dirs() {
            self.old.trees.insert(below);
            self.old.metas.insert(meta);
            self.removed(below, depth + 1)?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, checksum: Checksum, same_path: Option<Checksum>) {
        let next = self.files.len();
        let place = *self.places.entry(checksum).or_insert(next);
        if place == next {
            self.files.push(NewFile { checksum, names: Vec::new(), same_path: None });
        }
        let file = &mut self.files[place];
        if !file.names.iter().any(|own| own == name) {
            file.names.push(name.to_string());
        }
        file.same_path = file.same_path.or(same_path);
    }

    fn finish(self) -> Difference {
        let Walk { new_trees, new_metas, mut files, old, mut patches, dirtrees_read, .. } = self;
        patches.retain(|(patch, _)| !old.trees.contains(&patch.to));
        if patches.iter().map(|(_, len)| len).sum::<usize>() < PATCHED_TOGETHER {
            patches.clear();
        }
        let patches = patches.into_iter().map(|(patch, _)| patch).collect();
        let mut once = HashSet::new();
        let trees = new_trees.into_iter().filter(|tree| !old.trees.contains(tree));
        let trees = trees.map(|tree| ObjectName::new(tree, ObjectType::DirTree));
        let metas = new_metas.into_iter().filter(|meta| !old.metas.contains(meta));
        let metas = metas.map(|meta| ObjectName::new(meta, ObjectType::DirMeta));
        let metadata = trees.chain(metas).filter(|name| once.insert(*name)).collect();
        files.retain(|file| !old.known.contains(&file.checksum));
        Difference { metadata, files, old_files: old.files, patches, dirtrees_read }
    }
}

fn check_depth(tree: &Checksum, depth: usize) -> Result<()> {
    match depth > MAX_DEPTH {
        true => Err(RepoError::Refused(format!("directory {tree} is nested too deeply"))),
        false => Ok(()),
    }
}
