//! A directory that is committed while it is being edited.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use trefoil_format::gvariant::Metadata;
use trefoil_fsat::watch::{Backend, Changes, Lost, Notifier, Patience, Waited, Watch, notifier};
use trefoil_fsat::{Counters, Dir, Fs, Timestamp};
use trefoil_repo::commit::{
    CommitModifier, CommitRequest, Looked, WatchedTree, is_unchanged, write_commit,
};
use trefoil_repo::{Repo, RepoMode, Result, TreeId};

use crate::bench::{Bench, TIME, have, have_ostree, modes};
use crate::told::full;
use crate::told_random::{Dice, Edited};

/// Both ways to be told, where we may.
pub fn backends() -> Vec<Backend> {
    let mut backends = vec![Backend::Inotify];
    // Not the folder of all of them: tests of other things mount something there.
    let place = tempfile::TempDir::new().unwrap();
    let probe = Fs::new().open_dir(place.path()).unwrap();
    if have("fanotify (root, kernel 5.17)", notifier(&probe, Backend::Fanotify).is_ok()) {
        backends.push(Backend::Fanotify);
    }
    backends
}

/// A directory, the repository it is committed to, and what is known of both.
pub struct Committer {
    repo: Repo,
    dir: Dir,
    account: Fs,
    notifier: Box<dyn Notifier>,
    tree: WatchedTree,
}

pub struct Done {
    pub tree: TreeId,
    looked: Looked,
    counters: Counters,
}

impl Committer {
    pub fn new(bench: &Bench, backend: Backend) -> Self {
        let account = Fs::new();
        let dir = account.open_dir(bench.path("tree")).unwrap();
        let notifier = notifier(&dir, backend).unwrap();
        let repo = Repo::open(account.open_dir(bench.path("ours")).unwrap()).unwrap();
        Committer { repo, dir, account, notifier, tree: WatchedTree::new() }
    }

    /// Commits what the notifier has by now.
    pub fn commit(&mut self) -> Result<Done> {
        let mut changes = Changes::new();
        self.notifier.take(&mut changes)?;
        self.commit_changes(changes)
    }

    fn commit_changes(&mut self, changes: Changes) -> Result<Done> {
        let before = self.account.counters();
        let transaction = self.repo.begin()?;
        // No file is older: each is read again by the next walk.
        let now = Timestamp::default();
        let modifier = CommitModifier::default();
        let mut watched = self.tree.import(&transaction, &self.dir, changes, &modifier, now)?;
        let parent = self.repo.resolve_rev_opt("main")?;
        let checksum = match parent {
            Some(parent) if is_unchanged(&self.repo, &parent, &watched.tree)? => parent,
            _ => {
                let request = CommitRequest {
                    tree: watched.tree,
                    parent,
                    subject: String::new(),
                    body: String::new(),
                    metadata: Metadata::default(),
                    detached: None,
                    timestamp: TIME,
                };
                let checksum = write_commit(&transaction, request)?;
                transaction.set_ref("main".parse().unwrap(), Some(checksum));
                checksum
            }
        };
        transaction.commit()?;
        watched.save_index(&self.repo)?;
        self.tree.committed(checksum);
        let counters = self.account.counters().since(&before);
        Ok(Done { tree: watched.tree, looked: watched.looked, counters })
    }

    /// Commits again and again while the tree is edited, whatever comes of it, and once more.
    fn commit_until(&mut self, edited: &AtomicBool) -> Result<Done> {
        while !edited.load(SeqCst) {
            // A file that vanishes or changes while it is read fails a commit, no more.
            let _ = self.commit();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.commit()
    }
}

/// Tells the committing thread that there is nothing more to come.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// One edit out of all that a tree may meet; `outside` is a directory beside the tree.
fn edit(edited: &mut Edited, outside: &Path) {
    let root = edited.root.clone();
    let away = outside.join(format!("away{}", edited.dice.roll(3)));
    let back = root.join(format!("back{}", edited.dice.roll(3)));
    match edited.dice.roll(16) {
        0 => {
            // Made, written to and gone at once, by its only or by another name.
            let temp = root.join("temp");
            drop(fs::write(&temp, "t"));
            drop(fs::remove_file(&temp));
        }
        1 => {
            let temp = root.join(".temp");
            drop(fs::write(&temp, [edited.dice.roll(200) as u8]));
            drop(fs::rename(&temp, root.join("saved")));
        }
        2 if fs::symlink_metadata(&away).is_err() => {
            let name = root.join(format!("n{}", edited.dice.roll(6)));
            let _ = fs::rename(name, &away);
        }
        3 if fs::symlink_metadata(&back).is_err() => drop(fs::rename(&away, &back)),
        4 => {
            if let Ok(mut file) = OpenOptions::new().append(true).open(root.join("saved")) {
                file.write_all(b"more").unwrap();
            }
        }
        5 => {
            if let Ok(file) = OpenOptions::new().write(true).open(root.join("saved")) {
                file.set_len(edited.dice.roll(3)).ok();
            }
        }
        6 => linked_write(edited, &root),
        _ => edited.edit(),
    }
}

/// Writes to a file by a name that is there for a moment: nobody is told of the other one.
fn linked_write(edited: &mut Edited, root: &Path) {
    let (saved, link) = (root.join("saved"), root.join("link"));
    if fs::hard_link(&saved, &link).is_ok() {
        drop(fs::write(&link, [edited.dice.roll(200) as u8]));
        if edited.dice.roll(2) == 0 {
            drop(fs::remove_file(&link));
        } else {
            fs::rename(&link, root.join(format!("l{}", edited.dice.roll(3)))).ok();
        }
    }
    let _ = fs::remove_file(&link);
}

fn run(backend: Backend, mode: RepoMode, seed: u64, rounds: u64, with_ostree: bool) {
    let bench = Bench::new(mode);
    let mut edited = Edited::new(bench.path("tree"), seed);
    fs::create_dir(bench.path("outside")).unwrap();
    let mut committer = Committer::new(&bench, backend);
    let mut lossy = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    committer.commit().unwrap();
    for round in 0..rounds {
        let over = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            let committing = scope.spawn(|| committer.commit_until(&over));
            // Also where an edit panics: the scope waits for the other thread.
            let ends = Ends(&over);
            for _ in 0..=edited.dice.roll(14) {
                edit(&mut edited, &bench.path("outside"));
                if edited.dice.roll(3) == 0 {
                    std::thread::sleep(Duration::from_millis(edited.dice.roll(3)));
                }
            }
            drop(ends);
            committing.join().unwrap()
        });
        let name = format!("{backend:?} {mode} seed {seed} round {round}");
        let done = done.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let expected = full(&bench, &CommitModifier::default());
        if done.tree != expected {
            let list = |rev| crate::bench::ostree(&bench.path("ours"), &["ls", "-RCX", rev]);
            let got = list("main");
            bench.commit(&["tree"], &CommitModifier::default()).unwrap();
            assert_eq!(got, list("main"), "{name}");
        }
        assert_eq!(done.tree, expected, "{name}");
        if with_ostree {
            bench.theirs(&["tree"], &[]);
            let list = |name: &str| {
                crate::bench::ostree(&bench.path(name), &["ls", "-d", "-C", "main", "/"])
            };
            assert_eq!(list("ours"), list("theirs"), "{name}");
        }
        if lossy.roll(4) == 0 {
            // Something happens of which nobody gets to know more than that it was lost.
            edit(&mut edited, &bench.path("outside"));
            let mut changes = Changes::new();
            committer.notifier.take(&mut changes).unwrap();
            let mut lost = Changes::new();
            lost.lose(Lost::Overflow);
            let done = committer.commit_changes(lost).unwrap();
            assert_eq!(done.looked, Looked::Lost(Lost::Overflow));
            assert_eq!(done.tree, full(&bench, &CommitModifier::default()), "{name}, lost");
        }
    }
    crate::bench::ostree(&bench.path("ours"), &["fsck", "-q"]);
}

/// Guards that a watched commit is the commit of everything, whatever happens while it is made.
#[test]
fn watched_random_edits_give_the_full_checksum() {
    if have_ostree() {
        for backend in backends() {
            for (seed, mode) in (1..=4).zip(modes().into_iter().cycle()) {
                run(backend, mode, seed, 8, false);
            }
        }
    }
}

/// Guards the same against `ostree commit`.
#[test]
fn watched_random_edits_give_libostrees_checksum() {
    if have_ostree() {
        for backend in backends() {
            for (seed, mode) in (101..=104).zip(modes().into_iter().cycle()) {
                run(backend, mode, seed, 2, true);
            }
        }
    }
}

/// Guards that the queue of the kernel that really overflows is noticed, and that the changes
/// after it are.
#[test]
fn an_overflow_is_noticed_and_survived() {
    if !have_ostree() {
        return;
    }
    for backend in backends() {
        let bench = Bench::new(RepoMode::BareUser);
        fs::create_dir_all(bench.path("tree/dir")).unwrap();
        let mut committer = Committer::new(&bench, backend);
        committer.commit().unwrap();
        // The kernel merges what is alike, so each has a name of its own.
        for i in 0..17_000 {
            let name = bench.path(&format!("tree/dir/{i}"));
            fs::write(&name, []).unwrap();
            fs::remove_file(&name).unwrap();
        }
        // One that is made while the queue is full is watched from then on.
        fs::create_dir(bench.path("tree/late")).unwrap();
        fs::write(bench.path("tree/dir/last"), "l").unwrap();
        let done = committer.commit().unwrap();
        assert_eq!(done.looked, Looked::Lost(Lost::Overflow), "{backend:?}");
        assert_eq!(done.tree, full(&bench, &CommitModifier::default()));
        fs::write(bench.path("tree/late/file"), "f").unwrap();
        let done = committer.commit().unwrap();
        assert_eq!(done.looked, Looked::Changes, "{backend:?}");
        assert_eq!(done.tree, full(&bench, &CommitModifier::default()));
    }
}

/// Guards the cost: that of the change, whatever the size of the tree. The metadata of a
/// directory is no reason to look beneath it, and a time of a file none to commit.
#[test]
fn a_watched_commit_costs_what_changed() {
    if !have_ostree() {
        return;
    }
    for backend in backends() {
        let cost = |files: usize| {
            let bench = Bench::new(RepoMode::BareUser);
            for i in 0..files {
                let dir = bench.path(&format!("tree/d/{}", i % 10));
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join(i.to_string()), i.to_string()).unwrap();
            }
            let mut committer = Committer::new(&bench, backend);
            assert_eq!(committer.commit().unwrap().looked, Looked::First);
            fs::write(bench.path("tree/d/3/new"), "n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(bench.path("tree/d"), mode).unwrap();
            let done = committer.commit().unwrap();
            assert_eq!(done.tree, full(&bench, &CommitModifier::default()));
            let tip = bench.ours().resolve_rev("main").unwrap();
            let file = fs::File::options().write(true).open(bench.path("tree/d/3/new")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            drop(file);
            assert_eq!(committer.commit().unwrap().looked, Looked::Changes);
            assert_eq!(bench.ours().resolve_rev("main").unwrap(), tip, "nothing changed");
            done.counters
        };
        let (small, large) = (cost(40), cost(300));
        // Whether objects/XX is there already is a matter of luck.
        let looked = |c: Counters| [c.opens, c.stats, c.readdirs, c.reads, c.getxattrs, c.creates];
        assert_eq!(looked(small), looked(large), "{backend:?}");
    }
}

/// Guards that nothing is built on a commit that was pruned away or is partial.
#[test]
fn a_base_that_is_gone_is_not_built_on() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    fs::create_dir_all(bench.path("tree/dir")).unwrap();
    fs::write(bench.path("tree/dir/file"), "f").unwrap();
    let mut committer = Committer::new(&bench, Backend::Inotify);
    committer.commit().unwrap();
    let ours = bench.path("ours");
    crate::bench::ostree(&ours, &["refs", "--delete", "main"]);
    crate::bench::ostree(&ours, &["prune", "--refs-only"]);
    fs::write(bench.path("tree/new"), "n").unwrap();
    assert_eq!(committer.commit().unwrap().looked, Looked::NoBase);
    crate::bench::ostree(&ours, &["fsck", "-q"]);
}

/// Guards that what fails is not forgotten: neither what cannot be in a tree, once it is gone,
/// nor what changed besides.
#[test]
fn a_failed_commit_is_made_up_for() {
    if !have_ostree() {
        return;
    }
    for backend in backends() {
        let bench = Bench::new(RepoMode::BareUser);
        fs::create_dir_all(bench.path("tree/dir")).unwrap();
        let mut committer = Committer::new(&bench, backend);
        committer.commit().unwrap();
        fs::write(bench.path("tree/dir/file"), "f").unwrap();
        let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff");
        fs::write(bench.path("tree/dir").join(bad), "b").unwrap();
        let socket = bench.path("tree/socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for expected in ["Not a regular file or symlink", "Invalid UTF-8"] {
            let error = committer.commit().err().expect("it cannot be committed").to_string();
            if error.contains("socket") {
                fs::remove_file(&socket).unwrap();
            }
            assert!(error.contains("Invalid UTF-8") || error.contains(expected), "{error}");
        }
        let _ = fs::remove_file(&socket);
        drop(listener);
        fs::remove_file(bench.path("tree/dir").join(bad)).unwrap();
        let done = committer.commit().unwrap();
        assert_eq!(
            (done.looked, done.tree),
            (Looked::Changes, full(&bench, &CommitModifier::default()))
        );
    }
}

/// Guards the waiting: changes are handed out when the tree is quiet, at the latest after the
/// time that was set, and a stop ends it.
#[test]
fn changes_are_handed_out_when_the_tree_is_quiet() {
    let root = tempfile::TempDir::new().unwrap();
    let dir = Fs::new().open_dir(root.path()).unwrap();
    let watch = Watch::start(&dir, Backend::Inotify).unwrap();
    let patience = |quiet, at_most, idle| Patience {
        quiet: Duration::from_millis(quiet),
        at_most: Duration::from_millis(at_most),
        idle: Some(Duration::from_millis(idle)),
    };
    assert!(matches!(watch.wait(patience(5, 5, 5)).unwrap(), Waited::Idle));
    fs::write(root.path().join("a"), "a").unwrap();
    let waited = watch.wait(patience(20, 10_000, 10_000)).unwrap();
    let Waited::Changed { changes, .. } = waited else { panic!("{waited:?}") };
    assert_eq!(changes.paths().next().map(|(path, _)| path), Some(Path::new("a")));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                fs::write(root.path().join("busy"), "b").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let begun = Instant::now();
        let waited = watch.wait(patience(5_000, 100, 60_000)).unwrap();
        over.store(true, SeqCst);
        assert!(matches!(waited, Waited::Changed { .. }), "{waited:?}");
        assert!(begun.elapsed() >= Duration::from_millis(100));
    });
    let stopper = watch.stopper();
    std::thread::spawn(move || stopper.stop());
    let stopped = watch.wait(Patience { idle: None, ..patience(60_000, 60_000, 0) }).unwrap();
    assert!(matches!(stopped, Waited::Stopped));
}
