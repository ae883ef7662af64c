use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTree;
use trefoil_format::file::FileHeader;
use trefoil_repo::Repo;

use crate::{Result, SysrootError};

/// How many symbolic links one path may lead through.
const LINK_LIMIT: usize = 40;

/// What a path in a commit leads to, with its own path: no component of it is a link.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Relative to the root of the tree.
    pub(crate) path: String,
    pub(crate) node: Node,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A directory, by the checksum of its dirtree.
    Dir(Checksum),
    /// A regular file, by the checksum of its object.
    File(Checksum),
}

/// Looks paths up in the tree of a commit, at the cost of the depth; what was read once is
/// kept, since the search for a kernel goes through the same directories again and again.
pub(crate) struct CommitTree<'a> {
    repo: &'a Repo,
    root: Checksum,
    loaded: RefCell<HashMap<Checksum, Rc<DirTree>>>,
}

impl<'a> CommitTree<'a> {
    pub(crate) fn new(repo: &'a Repo, root: Checksum) -> CommitTree<'a> {
        CommitTree { repo, root, loaded: RefCell::default() }
    }

    pub(crate) fn load(&self, tree: &Checksum) -> Result<Rc<DirTree>> {
        if let Some(known) = self.loaded.borrow().get(tree) {
            return Ok(Rc::clone(known));
        }
        let loaded = Rc::new(self.repo.load_dirtree(tree)?);
        self.loaded.borrow_mut().insert(*tree, Rc::clone(&loaded));
        Ok(loaded)
    }

    /// Follows symbolic links as if the tree were the root of a system; `None` where the path
    /// leads nowhere.
    pub(crate) fn lookup(&self, path: &str) -> Result<Option<Found>> {
        let mut pending: Vec<String> = components(path).rev().collect();
        // Names and dirtrees of the directories walked through, the root without a name.
        let mut stack: Vec<(String, Checksum)> = vec![(String::new(), self.root)];
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let (_, tree) = stack.last().expect("the root is never popped");
            let dirtree = self.load(tree)?;
            if let Some(dir) = dirtree.dirs.iter().find(|d| d.name.as_str() == name) {
                stack.push((name, dir.tree));
                continue;
            }
            let Some(file) = dirtree.files.iter().find(|f| f.name.as_str() == name) else {
                return Ok(None);
            };
            let header = self.repo.load_file(&file.checksum)?.header;
            let Some(target) = header.symlink_target else {
                let path = join(&stack, &name);
                let found = Found { path, node: Node::File(file.checksum) };
                return Ok(pending.is_empty().then_some(found));
            };
            links += 1;
            if links > LINK_LIMIT {
                let what = format!("too many levels of symbolic links at {path} in the tree");
                return Err(SysrootError::State(what));
            }
            if target.starts_with('/') {
                stack.truncate(1);
            }
            pending.extend(components(&target).rev());
        }
        let (name, tree) = stack.pop().expect("the root is never popped");
        Ok(Some(Found { path: join(&stack, &name), node: Node::Dir(tree) }))
    }

    /// As [`CommitTree::lookup`], regular files only.
    pub(crate) fn lookup_file(&self, path: &str) -> Result<Option<(String, Checksum)>> {
        Ok(match self.lookup(path)? {
            Some(Found { path, node: Node::File(checksum) }) => Some((path, checksum)),
            _ => None,
        })
    }

    /// As [`CommitTree::lookup`], directories only.
    pub(crate) fn lookup_dir(&self, path: &str) -> Result<Option<(String, Checksum)>> {
        Ok(match self.lookup(path)? {
            Some(Found { path, node: Node::Dir(tree) }) => Some((path, tree)),
            _ => None,
        })
    }

    /// Header and size in bytes of a file.
    pub(crate) fn stat(&self, file: &Checksum) -> Result<(FileHeader, u64)> {
        let object = self.repo.load_file(file)?;
        Ok((object.header, object.size))
    }
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = String> {
    path.split('/').filter(|c| !c.is_empty() && *c != ".").map(str::to_string)
}

fn join(stack: &[(String, Checksum)], name: &str) -> String {
    let parents = stack.iter().skip(1).map(|(name, _)| name.as_str());
    parents.chain([name]).collect::<Vec<_>>().join("/")
}
