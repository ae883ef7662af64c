use trefoil_fsat::Fs;
use trefoil_repo::delta::{
    DeltaName, DeltaPlace, GenerateOptions, Limits, apply_offline, generate_delta,
};

use crate::ground::Ground;

/// Guards the cost: only directories that differ are read, however many there are.
#[test]
fn finding_costs_what_changed() {
    let Some(ground) = Ground::new() else { return };
    let mut counts = Vec::new();
    for dirs in [20, 200] {
        for dir in 0..dirs {
            ground.write(&format!("wide/{dirs}/{dir}/deep/file"), format!("{dir}").as_bytes());
        }
        let from = ground.commit("source");
        ground.write(&format!("wide/{dirs}/7/deep/file"), b"changed");
        let to = ground.commit("source");
        let repo = ground.open("source");
        let name: DeltaName = format!("{from}-{to}").parse().expect("a name");
        let before = repo.fs().counters();
        let report = generate_delta(&repo, name, DeltaPlace::Repo, &GenerateOptions::new(0));
        let report = report.expect("a delta");
        // The root, wide, N, 7 and deep, on both sides.
        assert_eq!(report.dirtrees_read, 10);
        assert_eq!(report.metadata, 5);
        assert_eq!(report.regular, 1);
        let after = repo.fs().counters().since(&before);
        // Not reads: a longer dirtree takes more of them.
        counts.push((after.opens, after.stats));
    }
    assert_eq!(counts[0], counts[1], "ten times the directories, the same work");
    assert!(counts[0].0 < 60, "{counts:?}");
}

/// Guards the cost of applying: what is not there is looked for once, by who plans, and not again
/// by who makes it and who writes it.
#[test]
fn applying_looks_once() {
    let Some(mut ground) = Ground::new() else { return };
    let mut stats = Vec::new();
    for files in [10, 50] {
        let write = |content: &str| {
            for n in 0..files {
                let path = format!("{files}/{n}/below/file");
                ground.write(&path, format!("{content} {n}").repeat(90).as_bytes());
            }
        };
        write("old");
        let from = ground.commit("source");
        write("new");
        let to = ground.commit("source");
        (ground.from, ground.to) = (from, to);
        ground.generate(&GenerateOptions::new(0));
        let name = format!("bare-{files}");
        ground.destination(&name, "bare-user");
        let repo = ground.open(&name);
        let dir = Fs::new().open_dir(ground.path(&ground.delta_dir())).expect("directory");
        let before = repo.fs().counters();
        apply_offline(&repo, &dir, "superblock", None, &Limits::default()).expect("it applies");
        stats.push(repo.fs().counters().since(&before).stats);
        ground.assert_complete(&name);
    }
    // For each file: it and the two directories above it, which are new, and what it is made of.
    assert!(stats[1] - stats[0] <= 40 * 4, "{stats:?}");
}
