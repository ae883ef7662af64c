use trefoil_format::gvariant::Metadata;
use trefoil_repo::delta::{
    DeltaIndex, DeltaName, DeltaPlace, GenerateOptions, delete_delta, generate_delta, has_delta,
    list_delta_indexes, list_deltas, reindex_deltas,
};
use trefoil_repo::summary::{Summary, read_summary, update_summary};

use crate::ground::Ground;

/// Guards the lists: what we write says what libostree writes, and each sees what the other made.
#[test]
fn lists_are_those_of_ostree() {
    let Some(ground) = Ground::new() else { return };
    let all = DeltaName::new(None, ground.name().to);
    ground.generate(&GenerateOptions::new(0));
    ground.ostree("source", &["static-delta", "generate", "--empty", &ground.to]);
    let repo = ground.open("source");
    let mut names = vec![ground.name(), all];
    names.sort();
    assert_eq!(list_deltas(&repo).expect("a list"), names);
    let mut theirs: Vec<String> =
        ground.ostree("source", &["static-delta", "list"]).lines().map(String::from).collect();
    theirs.sort();
    let mut ours: Vec<String> = names.iter().map(ToString::to_string).collect();
    ours.sort();
    assert_eq!(ours, theirs);

    reindex_deltas(&repo, None).expect("lists");
    assert_eq!(list_delta_indexes(&repo).expect("a list"), [all.to]);
    let index = ground.path("source").join(trefoil_repo::delta::index_path(&all.to));
    // libostree gives the entries in no order.
    let entries = || {
        let mut index = DeltaIndex::parse(&std::fs::read(&index).expect("it is there"));
        index.as_mut().expect("an index").0.sort();
        index.expect("an index")
    };
    let ours = entries();
    assert_eq!(ours.0.len(), 2);
    std::fs::remove_dir_all(ground.path("source/delta-indexes")).expect("it is there");
    ground.ostree("source", &["static-delta", "reindex"]);
    assert_eq!(ours, entries());
    assert_eq!(ground.ostree("source", &["config", "get", "core.indexed-deltas"]), "true");

    let summary = || {
        let summary = read_summary(&ground.open("source")).expect("it is read").expect("one");
        let summary = Summary::parse(&summary).expect("a summary");
        let deltas = summary.metadata.get(DeltaIndex::KEY).expect("they are listed");
        let mut deltas = DeltaIndex::from_value(deltas).expect("a list").0;
        deltas.sort();
        (deltas, summary.metadata.get("ostree.summary.indexed-deltas").cloned())
    };
    update_summary(&ground.open("source"), 7, &Metadata::default(), None).expect("a summary");
    let ours = summary();
    ground.ostree("source", &["summary", "-u"]);
    assert_eq!(ours, summary());

    delete_delta(&repo, &all).expect("it is there");
    assert!(!has_delta(&repo, &all).expect("it is looked for"));
    let said = delete_delta(&repo, &all).expect_err("it is gone").to_string();
    assert_eq!(said, format!("Can't find delta {all}"));
    delete_delta(&repo, &ground.name()).expect("it is there");
    reindex_deltas(&repo, None).expect("lists");
    assert!(list_delta_indexes(&repo).expect("a list").is_empty());
    ground.ostree("source", &["config", "set", "core.no-deltas-in-summary", "true"]);
    ground.generate(&GenerateOptions::new(0));
    update_summary(&ground.open("source"), 7, &Metadata::default(), None).expect("a summary");
    let raw = ground.ostree("source", &["summary", "-v", "--raw"]);
    assert!(!raw.contains("ostree.static-deltas"), "{raw}");
}

/// Guards that only the list that was asked for is touched.
#[test]
fn one_list_alone() {
    let Some(ground) = Ground::new() else { return };
    let repo = ground.open("source");
    let (from, to) = (ground.name().from.expect("one"), ground.name().to);
    let name = DeltaName::new(None, from);
    generate_delta(&repo, name, DeltaPlace::Repo, &GenerateOptions::new(0)).expect("a delta");
    ground.generate(&GenerateOptions::new(0));
    reindex_deltas(&repo, Some(&to)).expect("a list");
    assert_eq!(list_delta_indexes(&repo).expect("a list"), [to]);
}
