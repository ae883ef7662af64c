#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::Refspec;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Fs, Timestamp};
use trefoil_repo::checkout::{CheckoutMode, CheckoutOptions, checkout};
use trefoil_repo::commit::{
    CommitIndex, CommitModifier, CommitRequest, import_changes, import_dir, write_commit,
};
use trefoil_repo::fsck::{FsckOptions, fsck};
use trefoil_repo::prune::{PruneOptions, plan_prune};
use trefoil_repo::pull::{PullOptions, pull_local};
use trefoil_repo::traverse::Depth;
use trefoil_repo::{MutableTree, Repo, RepoMode, TreeId};

use super::super::place::{create, scratch};
use super::tree::{self, Node, Tree};
use super::{How, Step};

const BRANCHES: [&str; 3] = ["main", "os/test", "os/other"];

/// A commit as the model has it.
#[derive(Clone, Debug)]
struct Commit {
    parent: Option<Checksum>,
    tree: Tree,
}

/// A repository and what it has to hold.
struct Side {
    repo: Repo,
    refs: BTreeMap<&'static str, Checksum>,
    commits: BTreeMap<Checksum, Commit>,
}

/// Two repositories, a working tree, and the model of all three.
pub struct World {
    root: TempDir,
    ours: Side,
    other: Side,
    tree: Tree,
    /// For each branch the paths that changed since its last commit.
    told: BTreeMap<&'static str, BTreeSet<String>>,
    clock: u64,
    count: u32,
}

impl World {
    pub fn new(archive: bool) -> World {
        let root = scratch();
        let modes = [RepoMode::BareUserOnly, RepoMode::Archive];
        let (mine, theirs) = (modes[usize::from(archive)], modes[usize::from(!archive)]);
        let side = |name: &str, mode| Side {
            repo: create(&root.path().join(name), mode),
            refs: BTreeMap::new(),
            commits: BTreeMap::new(),
        };
        let (ours, other) = (side("ours", mine), side("other", theirs));
        fs::create_dir(root.path().join("tree")).expect("a directory");
        let (tree, told) = (Tree::new(), BTreeMap::new());
        World { root, ours, other, tree, told, clock: 1_700_000_000, count: 0 }
    }

    fn work(&self) -> PathBuf {
        self.root.path().join("tree")
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Write { path, content, executable } => {
                let content = vec![*content; usize::from(*content)];
                self.put(*path, Node::File { content, executable: *executable });
            }
            Step::Mkdir { path } => self.put(*path, Node::Dir),
            Step::Link { path, target } => self.put(*path, Node::Link(tree::path(*target))),
            Step::Remove { path } => {
                let path = tree::path(*path);
                let work = self.work();
                if tree::remove(&mut self.tree, &work, &path) {
                    self.tell(path);
                }
            }
            Step::Commit { branch, how } => self.commit(branch_of(*branch), *how),
            Step::DeleteRef { branch } => {
                let branch = branch_of(*branch);
                self.ours.repo.set_ref(&refspec(branch), None).expect("a ref goes away");
                self.ours.refs.remove(branch);
            }
            Step::Back { branch } => self.back(branch_of(*branch)),
            Step::Prune { refs_only, depth } => self.prune(*refs_only, *depth),
            Step::Checkout { branch, copy } => {
                self.count += 1;
                let to = self.root.path().join(format!("out{}", self.count));
                self.ours.check_out(branch_of(*branch), &to, *copy);
            }
            Step::Pull { branch, depth, trusted } => {
                self.pull(branch_of(*branch), *depth % 4, *trusted);
            }
            Step::Reopen => self.ours.reopen(),
        }
    }

    fn put(&mut self, path: u8, node: Node) {
        let work = self.work();
        if let Some(first) = tree::put(&mut self.tree, &work, &tree::path(path), node) {
            self.tell(first);
        }
    }

    fn tell(&mut self, path: String) {
        for branch in BRANCHES {
            self.told.entry(branch).or_default().insert(path.clone());
        }
    }

    fn commit(&mut self, branch: &'static str, how: How) {
        self.clock += 1;
        let parent = self.ours.refs.get(branch).copied();
        let told = std::mem::take(self.told.entry(branch).or_default());
        let told: Vec<String> = told.into_iter().collect();
        let checksum = self.ours.commit(&self.work(), branch, how, &told, self.clock);
        self.ours.refs.insert(branch, checksum);
        self.ours.commits.insert(checksum, Commit { parent, tree: self.tree.clone() });
    }

    fn back(&mut self, branch: &'static str) {
        let commit = self.ours.refs.get(branch).and_then(|at| self.ours.commits.get(at));
        let parent = commit.and_then(|commit| commit.parent);
        let Some(parent) = parent.filter(|parent| self.ours.commits.contains_key(parent)) else {
            return;
        };
        self.ours.repo.set_ref(&refspec(branch), Some(&parent)).expect("a ref moves");
        self.ours.refs.insert(branch, parent);
        // What changed since that one is not known any more.
        self.told.entry(branch).or_default().insert(String::from("/"));
    }

    fn prune(&mut self, refs_only: bool, depth: Option<u8>) {
        let depth = depth.map(|depth| u32::from(depth % 4));
        let options = PruneOptions {
            refs_only,
            depth: depth.map_or(Depth::Unlimited, Depth::Parents),
            ..PruneOptions::default()
        };
        let plan = plan_prune(&self.ours.repo, &options).expect("a plan");
        plan.apply().expect("a prune");
        if refs_only {
            let kept = self.ours.within(depth.unwrap_or(u32::MAX));
            self.ours.commits.retain(|checksum, _| kept.contains(checksum));
        }
        self.ours.check_objects();
    }

    fn pull(&mut self, branch: &'static str, depth: u8, trusted: bool) {
        let Some(target) = self.ours.refs.get(branch).copied() else { return };
        let options = PullOptions {
            refs: vec![branch.into()],
            depth: Depth::Parents(depth.into()),
            trusted,
            ..PullOptions::default()
        };
        pull_local(&self.other.repo, &self.ours.repo, &options).expect("a pull");
        self.other.refs.insert(branch, target);
        let mut next = Some(target);
        for _ in 0..=depth {
            let Some(commit) = next.and_then(|at| Some((at, self.ours.commits.get(&at)?))) else {
                break;
            };
            self.other.commits.insert(commit.0, commit.1.clone());
            next = commit.1.parent;
        }
    }

    /// The refs are those of the model.
    pub fn check_refs(&self) {
        self.ours.check_refs();
        self.other.check_refs();
    }

    /// Everything the model has is there and whole, and nothing is broken.
    pub fn check_all(&mut self) {
        assert_eq!(tree::read(&self.work()), self.tree, "the working tree was touched");
        for (name, side) in [("ours", &mut self.ours), ("other", &mut self.other)] {
            side.reopen();
            let commits: Vec<Checksum> = side.repo.list_commits().expect("a list");
            let wanted: Vec<Checksum> = side.commits.keys().copied().collect();
            assert_eq!(commits, wanted, "the commits of {name}");
            for branch in BRANCHES {
                let to = self.root.path().join(format!("{name}-{}", branch.replace('/', "-")));
                side.check_out(branch, &to, false);
            }
            let report = fsck(&mut side.repo, FsckOptions::default(), &mut |_| {});
            report.unwrap_or_else(|e| panic!("{name} is broken: {e}: {e:?}"));
        }
    }
}

impl Side {
    fn commit(&self, work: &Path, branch: &str, how: How, told: &[String], clock: u64) -> Checksum {
        let dir = Fs::new().open_dir(work).expect("a directory");
        let modifier = CommitModifier { canonical_permissions: true, ..CommitModifier::default() };
        let parent = self.refs.get(branch).copied();
        let txn = self.repo.begin().expect("a transaction");
        let mut whole = MutableTree::new();
        import_dir(&txn, &dir, &mut whole, &modifier).expect("an import");
        let id = whole.write(&txn).expect("a tree");
        let mut indexed = None;
        match (how, parent) {
            (How::Indexed, _) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let now = now.map_or(0, |since| since.as_secs() as i64);
                let now = Timestamp { sec: now, nsec: 0 };
                let index = CommitIndex::open(&self.repo, &dir, &modifier, now).expect("an index");
                let found = index.import(&txn, &dir, &modifier).expect("an import");
                assert_eq!(found.tree, id, "by the index it is another tree");
                indexed = Some(found);
            }
            (How::Told, Some(parent)) => {
                let before = self.repo.load_commit(&parent).expect("the commit before");
                let mut tree = MutableTree::from_tree(TreeId::of_commit(&before));
                import_changes(&txn, &dir, &mut tree, told, &modifier).expect("an import");
                let found = tree.write(&txn).expect("a tree");
                assert_eq!(found, id, "of what was told it is another tree: {told:?}");
            }
            _ => {}
        }
        let request = CommitRequest {
            tree: id,
            parent,
            subject: branch.to_string(),
            body: String::new(),
            metadata: Metadata::new(),
            detached: None,
            timestamp: clock,
        };
        let checksum = write_commit(&txn, request).expect("a commit");
        txn.set_ref(refspec(branch), Some(checksum));
        txn.commit().expect("the end of a transaction");
        if let Some(indexed) = indexed {
            indexed.save(&self.repo).expect("an index");
        }
        checksum
    }

    /// The commits within so many parents of a ref.
    fn within(&self, depth: u32) -> BTreeSet<Checksum> {
        let mut kept = BTreeSet::new();
        for at in self.refs.values() {
            let (mut next, mut left) = (Some(*at), depth);
            while let Some((at, commit)) = next.and_then(|at| Some((at, self.commits.get(&at)?))) {
                kept.insert(at);
                next = commit.parent.filter(|_| left > 0);
                left = left.saturating_sub(1);
            }
        }
        kept
    }

    fn check_refs(&self) {
        let found = self.repo.list_refs(None).expect("a list");
        let found: BTreeMap<String, Checksum> =
            found.into_iter().map(|(spec, at)| (spec.to_string(), at)).collect();
        let wanted = self.refs.iter().map(|(name, at)| (name.to_string(), *at)).collect();
        assert_eq!(found, wanted, "the refs");
    }

    /// Exactly the objects are there that the commits of the model need.
    fn check_objects(&self) {
        let mut wanted = BTreeSet::new();
        for at in self.commits.keys() {
            let commit = self.repo.load_commit(at).expect("a commit of the model");
            wanted.insert(ObjectName::new(*at, ObjectType::Commit));
            let mut waiting = vec![TreeId::of_commit(&commit)];
            while let Some(TreeId { tree, meta }) = waiting.pop() {
                wanted.insert(ObjectName::new(meta, ObjectType::DirMeta));
                wanted.insert(ObjectName::new(tree, ObjectType::DirTree));
                let tree = self.repo.load_dirtree(&tree).expect("a tree of the model");
                let files = tree.files.iter();
                wanted.extend(files.map(|f| ObjectName::new(f.checksum, ObjectType::File)));
                waiting.extend(tree.dirs.iter().map(|d| TreeId { tree: d.tree, meta: d.meta }));
            }
        }
        let found: BTreeSet<ObjectName> =
            self.repo.list_objects().expect("a list").into_iter().collect();
        assert_eq!(found, wanted, "the objects after a prune");
    }

    fn check_out(&self, branch: &str, to: &Path, copy: bool) {
        let Some(at) = self.refs.get(branch) else { return };
        let commit = self.repo.load_commit(at).expect("the commit of a ref");
        let parent = Fs::new().open_dir(to.parent().expect("a directory")).expect("a directory");
        let name = to.file_name().and_then(|name| name.to_str()).expect("a name");
        let options = CheckoutOptions {
            mode: CheckoutMode::User,
            force_copy: copy,
            ..CheckoutOptions::default()
        };
        checkout(&self.repo, &options, TreeId::of_commit(&commit), &parent, name)
            .unwrap_or_else(|e| panic!("{branch} cannot be checked out: {e}"));
        assert_eq!(tree::read(to), self.commits[at].tree, "the checkout of {branch}");
    }

    fn reopen(&mut self) {
        let dir = Fs::new().open_dir(self.repo.path()).expect("the repository");
        self.repo = Repo::open(dir).expect("the repository");
    }
}

fn branch_of(number: u8) -> &'static str {
    BRANCHES[usize::from(number) % BRANCHES.len()]
}

fn refspec(branch: &str) -> Refspec {
    Refspec::parse(branch).expect("a ref")
}
