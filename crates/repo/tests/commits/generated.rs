use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Counters, Fs};
use trefoil_repo::commit::{CommitModifier, CommitRequest, write_commit};
use trefoil_repo::{
    FileSource, MutableTree, Repo, RepoMode, Transaction, TransactionStats, TreeId,
};

use crate::bench::{Bench, TIME, have_ostree, ostree};
use crate::sample::{mkdir, write};

const CONTENT: &[u8] = b"Hello from no directory at all\n";

/// A commit of generated content over a base, as in `examples/commit_tree.rs`, reads the
/// dirtrees on the way to the file and writes them, however much else the base has. libostree
/// finds in it the base and the file.
#[test]
fn generated_content_costs_the_dirtrees_on_its_way() {
    if !have_ostree() {
        return;
    }
    let metadata = ["root", "usr", "usr/share", "usr/share/new", "commit"].len() as u64;
    let new = |files: u64| metadata + files;
    let cost = |unrelated: usize| {
        let bench = Bench::new(RepoMode::Archive);
        for i in 0..unrelated {
            let dir = format!("opt/d{i}");
            mkdir(&bench.path("tree"), &dir, 0o755);
            write(&bench.path("tree"), &format!("{dir}/f"), format!("{i}").as_bytes(), 0o644);
        }
        mkdir(&bench.path("tree"), "usr/share/old", 0o700);
        mkdir(&bench.path("tree"), "usr/lib", 0o755);
        // Owned by root, so that the dirmeta of new directories is there whoever runs this.
        let canonical = CommitModifier { canonical_permissions: true, ..Default::default() };
        bench.commit(&["tree"], &canonical).unwrap();
        let (checksum, written, counters) = put(&bench, "usr/share/new/hello");
        let listed =
            |rev: &str| ostree(&bench.path("ours"), &["ls", "-R", "--nul-filenames-only", rev]);
        let paths = |rev: &str| listed(rev).split('\0').map(String::from).collect::<Vec<_>>();
        let mut expected = paths("main");
        expected.extend(["/usr/share/new".to_string(), "/usr/share/new/hello".to_string()]);
        let mut found = paths(&checksum.to_string());
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        ostree(&bench.path("ours"), &["fsck", "-q"]);
        assert_eq!(written.content_objects_written, 1);
        assert_eq!(written.metadata_objects_written, new(0), "dirtrees on the way and the commit");
        counters
    };
    let (few, many) = (cost(1), cost(150));
    // Not the renames: one is done twice where its folder of `objects` is new.
    let numbers = |c: Counters| (c.opens, c.readdirs, c.bytes_read, c.bytes_written);
    assert_eq!(numbers(few), numbers(many));
    let read = ["commit of the base", "root dirtree", "usr", "usr/share"].len() as u64;
    assert_eq!((few.reads, many.reads), (read, read));
    assert_eq!((few.creates, many.creates), (new(1), new(1)), "nothing else is written");
}

/// Without a base the same work makes the whole commit.
#[test]
fn generated_content_needs_no_base() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let (checksum, written, _) = put(&bench, "usr/hello");
    let text = ostree(&bench.path("ours"), &["cat", &checksum.to_string(), "/usr/hello"]);
    assert_eq!(text.as_bytes(), CONTENT.trim_ascii_end());
    assert_eq!((written.content_objects_written, written.metadata_objects_written), (1, 4));
}

fn put(bench: &Bench, path: &str) -> (Checksum, TransactionStats, Counters) {
    let fs = Fs::new();
    let repo = Repo::open(fs.open_dir(bench.path("ours")).unwrap()).unwrap();
    let base = repo.resolve_rev_opt("main").unwrap();
    let before = fs.counters();
    let transaction = repo.begin().unwrap();
    let mut tree = match &base {
        Some(base) => MutableTree::from_tree(TreeId::of_commit(&repo.load_commit(base).unwrap())),
        None => MutableTree::new(),
    };
    put_file(&transaction, &mut tree, path);
    let request = CommitRequest {
        tree: tree.write(&transaction).unwrap(),
        parent: base,
        subject: "Generated".into(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: TIME,
    };
    let checksum = write_commit(&transaction, request).unwrap();
    let written = transaction.commit().unwrap();
    (checksum, written, fs.counters().since(&before))
}

fn put_file(transaction: &Transaction<'_>, tree: &mut MutableTree, path: &str) {
    let xattrs = Xattrs::default();
    // That of directories in `usr` of the base, so that it is there already.
    let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: xattrs.clone() };
    let meta = transaction.write_metadata(ObjectType::DirMeta, &meta.to_bytes()).unwrap();
    let header = FileHeader { uid: 0, gid: 0, mode: 0o100_644, symlink_target: None, xattrs };
    let file = transaction.write_file(&header, FileSource::Bytes(CONTENT)).unwrap();
    let (dirs, name) = path.rsplit_once('/').unwrap();
    let mut dir = tree;
    for name in [""].into_iter().chain(dirs.split('/')) {
        if !name.is_empty() {
            dir = dir.ensure_dir(transaction.repo(), &EntryName::new(name).unwrap()).unwrap();
        }
        if dir.metadata().is_none() {
            dir.set_metadata(meta);
        }
    }
    dir.replace_file(transaction.repo(), EntryName::new(name).unwrap(), file).unwrap();
}
