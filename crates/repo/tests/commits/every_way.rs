//! One sequence of edits, committed in every way there is.

use std::fs;

use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::bench::{Bench, have_ostree, modes, ostree};
use crate::index::{now, tree_of};
use crate::told::{full, told};
use crate::told_random::Edited;
use crate::watched::{Committer, backends};

fn run(mode: RepoMode, seed: u64, rounds: u64) {
    let bench = Bench::new(mode);
    let mut edited = Edited::new(bench.path("tree"), seed);
    let mut watching: Vec<_> =
        backends().into_iter().map(|backend| Committer::new(&bench, backend)).collect();
    bench.commit(&["tree"], &CommitModifier::default()).unwrap();
    for round in 0..rounds {
        for _ in 0..=edited.dice.roll(6) {
            edited.edit();
        }
        let name = format!("{mode} seed {seed} round {round}");
        let expected = full(&bench, &CommitModifier::default());
        // Told first: it starts from what the branch had before these edits.
        let changes = edited.take_told();
        let told = told(&bench, &changes, &CommitModifier::default()).unwrap();
        assert_eq!(told.tree, expected, "told, {name}: {changes:?}");
        // Within the clock's tick of the edits: nothing but a new look will do.
        let (indexed, _) = tree_of(&bench.ours(), &bench.path("tree"), now());
        assert_eq!(indexed, expected, "indexed, {name}");
        for committer in &mut watching {
            let watched = committer.commit().unwrap();
            assert_eq!(watched.tree, expected, "watched, {name}");
        }
        bench.theirs(&["tree"], &[]);
        let root = |repo: &str| ostree(&bench.path(repo), &["ls", "-d", "-C", "main", "/"]);
        assert_eq!(root("ours"), root("theirs"), "ostree, {name}");
    }
    ostree(&bench.path("ours"), &["fsck", "-q"]);
}

/// Guards that a full, a told, an indexed and a watched commit, by fanotify and by inotify, and
/// the one of `ostree` are the same, whatever was edited: content of the same size, metadata
/// alone, renames over files and directories, hard links, whole directories gone or moved.
#[test]
fn every_way_gives_one_checksum() {
    if have_ostree() {
        for (seed, mode) in (201..=208).zip(modes().into_iter().cycle()) {
            run(mode, seed, 4);
        }
    }
}

/// Guards the same where the clock is set back between two edits, as far as files show it.
#[test]
fn every_way_survives_times_of_the_past() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let mut edited = Edited::new(bench.path("tree"), 301);
    let path = bench.path("tree/file");
    for (content, sec) in [("1", 1_900_000_000), ("2", 1_000_000_000), ("3", 1_000_000_000)] {
        fs::write(&path, content).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(sec);
        file.set_modified(time).unwrap();
        edited.edit();
        let expected = full(&bench, &CommitModifier::default());
        // Two looks: one that believes what it may, and one by a clock that was set back.
        for at in [now(), trefoil_fsat::Timestamp { sec: sec as i64, nsec: 0 }] {
            let (indexed, _) = tree_of(&bench.ours(), &bench.path("tree"), at);
            assert_eq!(indexed, expected, "{content} at {}", at.sec);
        }
    }
}
