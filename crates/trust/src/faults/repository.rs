//! Scenarios of one repository.

use std::fs;
use std::os::unix::fs::symlink;

use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_fsat::{Fs, Timestamp};
use trefoil_repo::checkout::{CheckoutOptions, Overwrite, checkout};
use trefoil_repo::commit::{
    CommitIndex, CommitModifier, CommitRequest, import_changes, import_dir, write_commit,
};
use trefoil_repo::delta::{self, DeltaName, DeltaPlace, GenerateOptions, Limits, apply_offline};
use trefoil_repo::prune::{PruneOptions, plan_prune};
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_repo::summary::update_summary;
use trefoil_repo::traverse::Depth;
use trefoil_repo::{MutableTree, Repo, RepoMode, Transaction, TreeId};

use super::world::{REF, TIME, World};
use crate::Result;

/// What the second version of the tree changes.
const CHANGED: [&str; 5] =
    ["usr/bin/tool", "usr/bin/new", "usr/lib/link", "usr/share/gone", "usr/share/dir"];

/// How the tree is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Way {
    Full,
    Indexed,
    Told,
}

pub fn init(world: &World, fs: &Fs) -> Result<()> {
    let _ = fs::create_dir(world.live("repo"));
    Repo::create(fs.open_dir(world.live("repo"))?, RepoMode::BareUser, None)?;
    Ok(())
}

/// An empty repository in `name`, which may fill the disk.
pub fn create(world: &World, name: &str, mode: RepoMode) -> Result<()> {
    fs::create_dir_all(world.live(name))?;
    let mut repo = Repo::create(Fs::new().open_dir(world.live(name))?, mode, None)?;
    set_config(&mut repo, "min-free-space-percent", "0")
}

fn set_config(repo: &mut Repo, key: &str, value: &str) -> Result<()> {
    let mut config = repo.config().key_file.clone();
    config.set_raw("core", key, value)?;
    Ok(repo.write_config(config)?)
}

fn first_version(world: &World) -> Result<()> {
    world.tree.write("usr/share/gone", "gone");
    world.tree.write("usr/share/dir/inside", "inside");
    world.tree.write("usr/lib/link", "a file at first");
    world.tree.write("usr/share/large", &"large ".repeat(4000));
    Ok(())
}

fn second_version(world: &World) -> Result<()> {
    let tree = &world.tree;
    tree.write("usr/bin/tool", "#!/bin/sh\necho another tool\n");
    tree.write("usr/bin/new", &"new ".repeat(1000));
    tree.remove("usr/share/gone");
    tree.remove("usr/share/dir");
    tree.write("usr/share/dir", "a directory no more");
    tree.remove("usr/lib/link");
    symlink("modules", tree.path().join("usr/lib/link"))?;
    Ok(())
}

fn import(
    txn: &Transaction<'_>,
    world: &World,
    fs: &Fs,
    way: Way,
) -> Result<(TreeId, Option<trefoil_repo::commit::Indexed>)> {
    let (repo, modifier) = (txn.repo(), CommitModifier::default());
    let dir = fs.open_dir(world.tree.path())?;
    Ok(match way {
        Way::Full => {
            let mut tree = MutableTree::new();
            import_dir(txn, &dir, &mut tree, &modifier)?;
            (tree.write(txn)?, None)
        }
        Way::Indexed => {
            let now = Timestamp { sec: TIME as i64 * 2, nsec: 0 };
            let index = CommitIndex::open(repo, &dir, &modifier, now)?;
            let indexed = index.import(txn, &dir, &modifier)?;
            (indexed.tree, Some(indexed))
        }
        Way::Told => {
            let base = repo.resolve_rev(REF)?;
            let mut tree = MutableTree::from_tree(TreeId::of_commit(&repo.load_commit(&base)?));
            import_changes(txn, &dir, &mut tree, &CHANGED, &modifier)?;
            (tree.write(txn)?, None)
        }
    })
}

/// Commits the tree to the ref, as the command line does.
pub fn commit(world: &World, fs: &Fs, name: &str, way: Way) -> Result<Checksum> {
    let repo = world.repo(fs, name)?;
    let parent = repo.resolve_rev_opt(REF)?;
    let txn = repo.begin()?;
    let (tree, indexed) = import(&txn, world, fs, way)?;
    let request = CommitRequest {
        tree,
        parent,
        subject: "subject".into(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: TIME,
    };
    let checksum = write_commit(&txn, request)?;
    txn.set_ref(REF.parse()?, Some(checksum));
    txn.commit()?;
    if let Some(indexed) = indexed {
        indexed.save(&repo)?;
    }
    Ok(checksum)
}

fn one_commit(world: &World, mode: RepoMode, way: Way) -> Result<()> {
    create(world, "repo", mode)?;
    first_version(world)?;
    commit(world, &Fs::new(), "repo", way)?;
    second_version(world)
}

pub fn archive(world: &World) -> Result<()> {
    one_commit(world, RepoMode::Archive, Way::Full)
}

pub fn bare_user(world: &World) -> Result<()> {
    one_commit(world, RepoMode::BareUser, Way::Indexed)
}

pub fn bare(world: &World) -> Result<()> {
    one_commit(world, RepoMode::Bare, Way::Full)
}

pub fn commit_full(world: &World, fs: &Fs) -> Result<()> {
    commit(world, fs, "repo", Way::Full).map(drop)
}

pub fn commit_indexed(world: &World, fs: &Fs) -> Result<()> {
    commit(world, fs, "repo", Way::Indexed).map(drop)
}

pub fn commit_told(world: &World, fs: &Fs) -> Result<()> {
    commit(world, fs, "repo", Way::Told).map(drop)
}

/// Two commits, one the parent of the other.
pub fn with_two(world: &World) -> Result<()> {
    bare(world)?;
    commit_full(world, &Fs::new())
}

pub fn with_checkout(world: &World) -> Result<()> {
    bare(world)?;
    // What takes the place of a directory is refused.
    world.tree.remove("usr/share/dir");
    checkout_anew(world, &Fs::new())?;
    commit_full(world, &Fs::new())
}

fn check_out(world: &World, fs: &Fs, options: &CheckoutOptions) -> Result<()> {
    let repo = world.repo(fs, "repo")?;
    let commit = repo.load_commit(&repo.resolve_rev(REF)?)?;
    checkout(&repo, options, TreeId::of_commit(&commit), &fs.open_dir(world.live(""))?, "out")?;
    // What was claimed to be there is there.
    let wanted = world.tree.path().join("usr/share/large");
    match fs::read(world.live("out/usr/share/large"))? == fs::read(wanted)? {
        true => Ok(()),
        false => Err("the checkout is not what was committed".into()),
    }
}

/// As people do it again: what is there of it goes first.
pub fn checkout_anew(world: &World, fs: &Fs) -> Result<()> {
    if world.live("out").exists() {
        fs::remove_dir_all(world.live("out"))?;
    }
    check_out(world, fs, &CheckoutOptions { fsync: true, ..CheckoutOptions::default() })
}

pub fn checkout_over(world: &World, fs: &Fs) -> Result<()> {
    let options =
        CheckoutOptions { overwrite: Overwrite::UnionFiles, ..CheckoutOptions::default() };
    check_out(world, fs, &options)
}

/// Two releases in another repository, the first of them here.
pub fn with_source(world: &World) -> Result<()> {
    create(world, "repo", RepoMode::Bare)?;
    create(world, "source", RepoMode::Bare)?;
    first_version(world)?;
    commit(world, &Fs::new(), "source", Way::Full)?;
    pull(world, &Fs::new())?;
    second_version(world)?;
    commit(world, &Fs::new(), "source", Way::Full).map(drop)
}

fn pull_with(world: &World, fs: &Fs, trusted: bool) -> Result<()> {
    let source = world.repo(&Fs::new(), "source")?;
    let refs = vec![PullRef::from(REF)];
    let options = PullOptions { refs, trusted, ..PullOptions::default() };
    pull_local(&world.repo(fs, "repo")?, &source, &options)?;
    Ok(())
}

pub fn pull(world: &World, fs: &Fs) -> Result<()> {
    pull_with(world, fs, true)
}

pub fn pull_untrusted(world: &World, fs: &Fs) -> Result<()> {
    pull_with(world, fs, false)
}

fn last_two(repo: &Repo) -> Result<DeltaName> {
    let to = repo.resolve_rev(REF)?;
    let from = repo.load_commit(&to)?.parent.ok_or("a commit without a parent")?;
    Ok(format!("{from}-{to}").parse()?)
}

fn generate(world: &World, fs: &Fs, name: &str) -> Result<DeltaName> {
    let repo = world.repo(fs, name)?;
    let name = last_two(&repo)?;
    delta::generate_delta(&repo, name, DeltaPlace::Repo, &GenerateOptions::new(TIME))?;
    Ok(name)
}

pub fn generate_delta(world: &World, fs: &Fs) -> Result<()> {
    generate(world, fs, "repo").map(drop)
}

pub fn with_delta(world: &World) -> Result<()> {
    with_source(world)?;
    generate(world, &Fs::new(), "source").map(drop)
}

/// Applies the delta and moves the ref, as a pull does.
pub fn apply_delta(world: &World, fs: &Fs) -> Result<()> {
    let source = world.repo(&Fs::new(), "source")?;
    let name = last_two(&source)?;
    let dir = fs.open_dir(world.live("source").join(name.dir()))?;
    let repo = world.repo(fs, "repo")?;
    apply_offline(&repo, &dir, "superblock", None, &Limits::default())?;
    Ok(repo.set_ref(&REF.parse()?, Some(&source.resolve_rev(REF)?))?)
}

/// As [`with_two`], the config telling that there are lists of deltas.
pub fn with_lists(world: &World) -> Result<()> {
    with_two(world)?;
    Ok(delta::reindex_deltas(&world.repo(&Fs::new(), "repo")?, None)?)
}

pub fn summary(world: &World, fs: &Fs) -> Result<()> {
    update_summary(&world.repo(fs, "repo")?, TIME, &Metadata::default(), None)?;
    Ok(())
}

pub fn config(world: &World, fs: &Fs) -> Result<()> {
    set_config(&mut world.repo(fs, "repo")?, "zlib-level", "3")
}

/// Commits that no ref leads to, and a delta from one to another.
pub fn with_garbage(world: &World) -> Result<()> {
    with_two(world)?;
    world.tree.write("usr/share/passing", "soon gone");
    commit_full(world, &Fs::new())?;
    generate_delta(world, &Fs::new())?;
    world.tree.remove("usr/share/passing");
    let repo = world.repo(&Fs::new(), "repo")?;
    let first = last_two(&repo)?.from;
    Ok(repo.set_ref(&REF.parse()?, first.as_ref())?)
}

pub fn prune(world: &World, fs: &Fs) -> Result<()> {
    prune_at(&world.repo(fs, "repo")?)
}

/// Deletes what no ref leads to.
pub fn prune_at(repo: &Repo) -> Result<()> {
    let options =
        PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    plan_prune(repo, &options)?.apply()?;
    Ok(())
}
