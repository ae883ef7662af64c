//! Writers that hold no lock against each other.

use std::fs;
use std::thread;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;

use crate::support::Ground;

/// Guards against two commits that move one ref stepping on each other's temporary file.
#[test]
fn one_ref_is_moved_by_many_at_once() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    let sums: Vec<Checksum> = (0..4).map(|n| Checksum::of(&[n])).collect();
    let refspec: Refspec = "some/branch".parse().expect("a refspec");
    thread::scope(|scope| {
        for sum in &sums {
            let (ground, refspec) = (&ground, &refspec);
            scope.spawn(move || {
                let repo = ground.open("repo");
                for _ in 0..200 {
                    repo.set_ref(refspec, Some(sum)).expect("the ref is moved");
                }
            });
        }
    });
    let last = ground.ostree("repo", &["rev-parse", "some/branch"]);
    assert!(sums.contains(&Checksum::from_hex(&last).expect("a checksum")));
    let left: Vec<_> = fs::read_dir(ground.path("repo/tmp")).expect("tmp").collect();
    assert!(left.iter().flatten().all(|e| e.file_name() == "cache"), "{left:?}");
}
