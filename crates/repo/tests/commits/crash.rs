//! Commits that fail or die at every mutating operation in turn.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::RefName;
use trefoil_fsat::{Fault, FaultKind, Fs, Timestamp};
use trefoil_repo::commit::{
    CommitIndex, CommitModifier, CommitRequest, import_changes, write_commit,
};
use trefoil_repo::fsck::{FsckOptions, fsck};
use trefoil_repo::{MutableTree, Repo, RepoMode, Result, TreeId};

use crate::bench::{TIME, have_ostree, modes, ostree};

/// Hundreds of commits, each with its syncs: on a disk they would take minutes.
const MEMORY: &str = "/dev/shm";
const NO_SPACE: i32 = 28;
const INPUT_OUTPUT: i32 = 5;

/// How the second commit is made.
#[derive(Copy, Clone, Debug)]
enum Way {
    Indexed,
    Told,
}

fn open(fs: &Fs, path: &Path) -> Repo {
    Repo::open(fs.open_dir(path).expect("the repository")).expect("it opens")
}

fn request(tree: TreeId, parent: Option<Checksum>) -> CommitRequest {
    let (subject, body) = ("s".to_string(), String::new());
    let metadata = Metadata::default();
    CommitRequest { tree, parent, subject, body, metadata, detached: None, timestamp: TIME }
}

/// Commits `source` to the ref `main` through `fs`, as the command line does.
fn commit(fs: &Fs, repo: &Path, source: &Path, way: Way) -> Result<(Checksum, TreeId)> {
    let repo = Repo::open(fs.open_dir(repo)?)?;
    let txn = repo.begin()?;
    let dir = fs.open_dir(source)?;
    let modifier = CommitModifier::default();
    let parent = repo.resolve_rev_opt("main")?;
    let now = Timestamp { sec: TIME as i64 * 2, nsec: 0 };
    let (tree, index) = match way {
        Way::Indexed => {
            let index = CommitIndex::open(&repo, &dir, &modifier, now)?;
            let indexed = index.import(&txn, &dir, &modifier)?;
            (indexed.tree, Some(indexed))
        }
        Way::Told => {
            let base = parent.expect("the first commit");
            let base = TreeId::of_commit(&repo.load_commit(&base)?);
            let mut tree = MutableTree::from_tree(base);
            let paths = ["dir/changed", "dir/new", "dir/gone", "link"].map(str::to_string);
            import_changes(&txn, &dir, &mut tree, &paths, &modifier)?;
            (tree.write(&txn)?, None)
        }
    };
    let checksum = write_commit(&txn, request(tree, parent))?;
    txn.set_ref("main".parse().expect("a ref"), Some(checksum));
    txn.commit()?;
    if let Some(index) = index {
        index.save(&repo)?;
    }
    Ok((checksum, tree))
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, content).expect("a file");
}

fn first_tree(root: &Path) {
    write(root, "dir/changed", "1");
    write(root, "dir/gone", "g");
    write(root, "deep/down/kept", "k");
    std::os::unix::fs::symlink("dir", root.join("link")).expect("a link");
}

fn second_tree(root: &Path) {
    write(root, "dir/changed", "2");
    write(root, "dir/new", &"n".repeat(3000));
    fs::remove_file(root.join("dir/gone")).expect("it is there");
    fs::remove_file(root.join("link")).expect("it is there");
    std::os::unix::fs::symlink("deep", root.join("link")).expect("a link");
}

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("it can be removed");
    }
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp starts").success());
}

/// Our fsck finds nothing, nor does libostree's, which is asked about a sample.
fn assert_sound(repo: &Path, at: u64) {
    let mut opened = open(&Fs::new(), repo);
    let checked = fsck(&mut opened, FsckOptions::default(), &mut |_| {});
    assert!(checked.expect("it can be checked").is_clean());
    if at.is_multiple_of(8) {
        ostree(repo, &["fsck", "-q"]);
    }
}

/// No trace of dead transactions.
fn assert_swept(repo: &Path) {
    for entry in fs::read_dir(repo.join("tmp")).expect("tmp").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.starts_with("staging-"), "{name} was left behind");
    }
}

/// Interrupts a commit to a repository without objects, or to one with an earlier commit.
fn interrupt(mode: RepoMode, way: Way, is_first: bool) {
    let place = TempDir::new_in(MEMORY).expect("a place in memory");
    let [tree, saved, repo] = ["tree", "saved", "repo"].map(|name| place.path().join(name));
    fs::create_dir(&saved).expect("a directory");
    first_tree(&tree);
    let made = Repo::create(Fs::new().open_dir(&saved).expect("it is there"), mode, None);
    drop(made.expect("a repository"));
    let config = saved.join("config");
    let text = fs::read_to_string(&config).expect("the config");
    fs::write(&config, text + "min-free-space-percent=0\n").expect("the config");
    let first = || commit(&Fs::new(), &saved, &tree, Way::Indexed).expect("the first commit").0;
    let old = (!is_first).then(first);
    second_tree(&tree);

    copy(&saved, &repo);
    let fs = Fs::new();
    let (new, wanted) = commit(&fs, &repo, &tree, way).expect("nothing disturbs it");
    assert_ne!(old, Some(new));
    let mut moved = 0;
    for kind in [FaultKind::Die, FaultKind::Fail(NO_SPACE), FaultKind::Fail(INPUT_OUTPUT)] {
        for at in 1..=fs.mutations() {
            let case = format!("{mode} {way:?} on {old:?}: {kind:?} at {at}");
            copy(&saved, &repo);
            let done = commit(&Fs::with_fault(Fault { at, kind }), &repo, &tree, way);
            let found = open(&Fs::new(), &repo).resolve_rev_opt("main").expect("the ref");
            assert!([old, Some(new)].contains(&found), "{case}: {found:?}");
            if let Ok((checksum, _)) = done {
                assert_eq!((checksum, found), (new, Some(new)), "{case}: success was claimed");
            }
            moved += u64::from(found == Some(new));
            assert_sound(&repo, at);
            let (_, again) = commit(&Fs::new(), &repo, &tree, Way::Indexed).expect(&case);
            assert_eq!(again, wanted, "{case}");
            assert_sound(&repo, at);
            assert_swept(&repo);
        }
    }
    assert!(moved > 0, "no fault struck after the ref had moved");
}

/// Guards: whatever operation a commit dies or fails at, the ref is the old or the new commit,
/// libostree's fsck passes, and the next commit succeeds and sweeps up.
#[test]
fn interrupted_anywhere_the_next_commit_succeeds() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        interrupt(mode, Way::Indexed, true);
        interrupt(mode, Way::Indexed, false);
        interrupt(mode, Way::Told, false);
    }
}

/// Guards: a ref that is only a hint has its name after its bytes are durable. An empty ref would
/// fail every prune and fsck.
#[test]
fn a_hint_is_durable_before_it_is_named() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("repo");
    fs::create_dir(&path).expect("ours");
    let root = Fs::new().open_dir(&path).expect("it is there");
    Repo::create(root, RepoMode::BareUser, None).expect("made");
    let name: RefName = "trefoil/spare/os".parse().expect("a name");
    let commit = Checksum::of(b"any");
    let file = path.join("refs/heads/trefoil/spare/os");
    for at in 1.. {
        let faulty = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let done = open(&faulty, &path).set_hint_ref(&name, Some(&commit));
        assert_eq!(file.exists(), done.is_ok(), "the name comes last");
        if done.is_ok() {
            assert!(at > 2, "nothing failed");
            break;
        }
    }
    fs::remove_file(&file).expect("it is there");
    let fs = Fs::new();
    open(&fs, &path).set_hint_ref(&name, Some(&commit)).expect("set");
    assert_eq!(fs.counters().fsyncs, 1);
}
