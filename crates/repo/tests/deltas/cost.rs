use trefoil_repo::delta::{DeltaName, DeltaPlace, GenerateOptions, generate_delta};

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
