use std::fs;

use trefoil_format::gvariant::Value;
use trefoil_repo::delta::{
    DeltaName, DeltaPlace, GenerateOptions, Superblock, generate_delta, read_delta,
};
use trefoil_repo::pull::PullOptions;

use crate::ground::{Ground, main_ref};

/// Guards that of a delta whose largest part has a large directory alone that part is not
/// fetched, and that it is where what the superblock says does not help.
#[test]
fn the_part_of_a_large_directory_is_not_fetched() {
    let Some(ground) = Ground::new() else { return };
    for n in 0..3000 {
        ground.write(&format!("wide/name-{n}"), format!("{n}").as_bytes());
    }
    let from = ground.commit();
    for repo in ["without", "with"] {
        ground.init(repo, "bare-user");
        ground.pull(repo, &main_ref()).expect("first pull");
    }
    ground.write("wide/name-7", b"changed");
    let to = ground.commit();
    let name: DeltaName = format!("{from}-{to}").parse().expect("a name");
    let source = ground.open("srv/repo");
    generate_delta(&source, name, DeltaPlace::Repo, &GenerateOptions::new(0)).expect("a delta");
    ground.ostree("srv/repo", &["summary", "-u"]);
    let options = PullOptions { require_static_deltas: true, ..main_ref() };

    ground.server.take_requests();
    let stats = ground.pull("without", &options).expect("second pull");
    ground.fsck("without");
    assert_eq!((stats.delta_parts_fetched, stats.content_fetched), (1, 0), "{stats:?}");
    let asked = ground.server.take_requests();
    let part = |index| asked.iter().any(|request| request.path.ends_with(&name.part_path(index)));
    assert!(!part(0) && part(1), "{asked:?}");

    let bytes = read_delta(&source, &name).expect("a superblock");
    let mut superblock = Superblock::parse(&bytes).expect("a superblock");
    let key = "trefoil.dirtrees";
    let Some(Value::Array(ty, items)) = superblock.metadata.get(key).cloned() else {
        panic!("it says nothing")
    };
    let Value::Tuple(mut members) = items[0].clone() else { panic!("no tuple") };
    members[2] = Value::Bytes(b"name-8\0".to_vec());
    superblock.metadata.set(key, Value::Array(ty, vec![Value::Tuple(members)]));
    let place = ground.path("srv/repo").join(name.superblock_path());
    fs::write(place, superblock.to_bytes().expect("bytes")).expect("file");
    ground.ostree("srv/repo", &["summary", "-u"]);
    let stats = ground.pull("with", &options).expect("second pull");
    ground.fsck("with");
    assert_eq!((stats.delta_parts_fetched, stats.content_fetched), (2, 0), "{stats:?}");
}
