//! The cost of a converting deploy is that of the change, whatever the size of the tree.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

#[allow(dead_code, reason = "each suite uses a part of it")]
mod common;

use std::time::Duration;

use common::{Bench, REF, STATEROOT};
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::{EntryName, Refspec};
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Counters, Fs};
use trefoil_repo::commit::{CommitRequest, write_commit};
use trefoil_repo::{FileSource, MutableTree, Repo, Transaction, TreeId};
use trefoil_sysroot::Account;
use trefoil_sysroot::deploy::{DeployOptions, TreeMethod};
use trefoil_sysroot::spare::{SpareBuilder, Trust};

/// Files in one directory of the bulk.
const FANOUT: u32 = 20;
/// Distinct contents of the bulk: fewer than files, to be quick, and enough that no object
/// runs out of links.
const CONTENTS: u32 = 64;

/// Guards: with trust `none` the same change costs the same operations in trees of 1,000,
/// 10,000 and 100,000 files; with `stat` only the stats of directories grow, and what is read
/// of the seal.
#[test]
fn cost_is_that_of_the_change() {
    let sizes = [1_000, 10_000, 100_000];
    let Some(first) = Scale::new(sizes[0]) else { return };
    let (none, stat) = first.measure();
    for files in &sizes[1..] {
        let Some(scale) = Scale::new(*files) else { return };
        let (more_none, more_stat) = scale.measure();
        assert_eq!(without_bytes(&more_none), without_bytes(&none), "{files} files");
        // Inode numbers and serials have as many digits as they have.
        assert!(more_none.bytes_read.abs_diff(none.bytes_read) < 512, "{files} files");
        assert!(more_none.bytes_written.abs_diff(none.bytes_written) < 64, "{files} files");
        assert_eq!(without_seal(&more_stat), without_seal(&stat), "{files} files");
        let dirs = u64::from((files - sizes[0]) / FANOUT);
        // The size of a seal is asked for where one read does not hold it.
        let more = more_stat.stats - stat.stats;
        assert!(more == dirs || more == dirs + 1, "{files} files: {more} stats for {dirs}");
    }
}

fn without_bytes(counters: &Counters) -> Counters {
    Counters { bytes_read: 0, bytes_written: 0, ..*counters }
}

/// What `stat` may do more of: look at directories, and read the seal that names them.
fn without_seal(counters: &Counters) -> Counters {
    Counters { stats: 0, reads: 0, ..without_bytes(counters) }
}

/// A sysroot with deployments of a tree with so many files.
struct Scale {
    bench: Bench,
    base: TreeId,
}

impl Scale {
    /// `None` without root or `ostree`; that was said.
    fn new(files: u32) -> Option<Scale> {
        let bench = Bench::new()?;
        for n in 0..10 {
            bench.tree.write(&format!("usr/share/data/{n}"), "0");
        }
        bench.commit(None);
        let repo = open_repo(&bench);
        let commit = repo.load_commit(&repo.resolve_rev(REF).expect("ref")).expect("commit");
        let transaction = repo.begin().expect("begin");
        let mut tree = MutableTree::from_tree(TreeId::of_commit(&commit));
        add_bulk(&repo, &transaction, &mut tree, files);
        let base = tree.write(&transaction).expect("write");
        // A ref, or the first deploys would prune it.
        let commit = write_commit(&transaction, request(base)).expect("commit");
        transaction.set_ref(Refspec::parse("test/base").expect("ref"), Some(commit));
        transaction.commit().expect("commit");
        Some(Scale { bench, base })
    }

    /// What a deploy of one and the same change costs by `none` and by `stat`.
    fn measure(&self) -> (Counters, Counters) {
        let mut version = 0;
        let mut next = |trust| {
            version += 1;
            self.commit(&version.to_string());
            self.deploy(trust)
        };
        // Three full checkouts until there is a spare, three more to a common state.
        for _ in 0..6 {
            next(Trust::Stat);
        }
        let (none, method) = next(Trust::None);
        assert_eq!(method, TreeMethod::Recycle);
        let (stat, method) = next(Trust::Stat);
        assert_eq!(method, TreeMethod::Recycle);
        (none, stat)
    }

    /// A commit of the base with three files changed.
    fn commit(&self, version: &str) {
        let repo = open_repo(&self.bench);
        let transaction = repo.begin().expect("begin");
        let mut tree = MutableTree::from_tree(self.base);
        for path in ["usr/bin/tool", "usr/share/data/3", "usr/share/data/7"] {
            put(&repo, &transaction, &mut tree, path, &format!("{path} {version}"));
        }
        let root = tree.write(&transaction).expect("write");
        let commit = write_commit(&transaction, request(root)).expect("commit");
        transaction.set_ref(Refspec::parse(REF).expect("ref"), Some(commit));
        transaction.commit().expect("commit");
    }

    fn deploy(&self, trust: Trust) -> (Counters, TreeMethod) {
        let fs = Fs::new();
        let builder = SpareBuilder::new(trust, true);
        let mut options = DeployOptions::new(REF);
        options.stateroot = Some(STATEROOT.into());
        let mut sysroot = self.bench.open_with(&fs).expect("open");
        let lock = sysroot.lock(Duration::from_secs(5)).expect("lock");
        let plan = sysroot.plan_deploy(&options, &builder).expect("plan");
        let clock = || Duration::ZERO;
        let mut account = Account::new(&fs, &clock);
        let report = sysroot.apply_deploy(&lock, plan, &builder, &mut account).expect("apply");
        (fs.counters(), report.method)
    }
}

fn open_repo(bench: &Bench) -> Repo {
    Repo::open(Fs::new().open_dir(bench.ours().join("ostree/repo")).expect("open")).expect("repo")
}

fn request(tree: TreeId) -> CommitRequest {
    CommitRequest {
        tree,
        parent: None,
        subject: String::new(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: 1,
    }
}

fn name(text: &str) -> EntryName {
    EntryName::new(text).expect("a name")
}

fn header() -> FileHeader {
    let xattrs = Xattrs::default();
    FileHeader { uid: 0, gid: 0, mode: 0o100_644, symlink_target: None, xattrs }
}

fn put(
    repo: &Repo,
    transaction: &Transaction<'_>,
    tree: &mut MutableTree,
    path: &str,
    content: &str,
) {
    let object = transaction
        .write_file(&header(), FileSource::Bytes(content.as_bytes()))
        .expect("write file");
    let (dirs, file) = path.rsplit_once('/').expect("a file in a directory");
    let mut at = tree;
    for dir in dirs.split('/') {
        at = at.ensure_dir(repo, &name(dir)).expect("directory");
    }
    at.replace_file(repo, name(file), object).expect("file");
}

/// `usr/share/bulk/DIR/FILE`. The dirtrees above a change are read; the bulk is not above any.
fn add_bulk(repo: &Repo, transaction: &Transaction<'_>, tree: &mut MutableTree, files: u32) {
    let write = |n: u32| {
        let content = format!("content {n}");
        let source = FileSource::Bytes(content.as_bytes());
        transaction.write_file(&header(), source).expect("write file")
    };
    let objects: Vec<_> = (0..CONTENTS).map(write).collect();
    let share = tree.ensure_dir(repo, &name("usr")).expect("usr");
    let share = share.ensure_dir(repo, &name("share")).expect("share");
    let meta = share.metadata().expect("it was committed");
    let bulk = share.ensure_dir(repo, &name("bulk")).expect("bulk");
    bulk.set_metadata(meta);
    for n in 0..files {
        let dir = bulk.ensure_dir(repo, &name(&format!("{}", n / FANOUT))).expect("directory");
        dir.set_metadata(meta);
        let object = objects[(n % CONTENTS) as usize];
        dir.replace_file(repo, name(&format!("{n}")), object).expect("file");
    }
}
