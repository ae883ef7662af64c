use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::finder::{Candidate, FoundRemote, mounted, newest, publish_repo};
use trefoil_repo::remote::{Remote, list_remotes};
use trefoil_repo::summary::{Summary, SummaryRef};
use trefoil_repo::{CollectionRef, Repo};

use crate::support::{Ground, chain};

const COLLECTION: &str = "org.example.One";

fn key(name: &str) -> CollectionRef {
    CollectionRef::new(COLLECTION, name).expect("a ref")
}

fn keys(names: &[&str]) -> BTreeSet<CollectionRef> {
    names.iter().map(|name| key(name)).collect()
}

/// The repository that looks for updates, with the remotes `one` of the collection and `two`,
/// which is of none.
fn seeker(ground: &Ground) -> (Repo, BTreeMap<String, Remote>) {
    ground.init("here", "archive");
    let id = format!("--collection-id={COLLECTION}");
    ground.ostree("here", &["remote", "add", "--no-gpg-verify", &id, "one", "file:///one"]);
    ground.ostree("here", &["remote", "add", "--no-gpg-verify", "two", "file:///two"]);
    let repo = ground.open("here");
    let remotes = list_remotes(&repo, None).expect("remotes");
    (repo, remotes)
}

/// A repository that mirrors `refs` of the collection `id`.
fn mirror(ground: &Ground, path: &str, id: &str, refs: &[&str]) {
    fs::create_dir_all(ground.path(path)).expect("directory");
    ground.init(path, "archive");
    ground.write("tree/file", path);
    let commit = ground.commit(path, "here", 1_000_000);
    for name in refs {
        let create = format!("--create={id}:{name}");
        ground.ostree(path, &["refs", "--collections", &create, &commit]);
    }
    ground.ostree(path, &["refs", "--delete", "here"]);
}

fn volume(ground: &Ground) -> Dir {
    fs::create_dir_all(ground.path("stick/.ostree/repos.d")).expect("directory");
    Fs::new().open_dir(ground.path("stick")).expect("volume")
}

/// Of a volume the repositories of `repos.d` come first, by name, then the usual places; each
/// ref is taken from the first. What is of a collection nobody here knows is not taken at all.
#[test]
fn repositories_of_a_volume_have_an_order() {
    let Some(ground) = Ground::new() else { return };
    let (repo, remotes) = seeker(&ground);
    let volume = volume(&ground);
    mirror(&ground, "stick/.ostree/repo", COLLECTION, &["a", "b", "c", "d"]);
    mirror(&ground, "stick/elsewhere", COLLECTION, &["a", "b"]);
    mirror(&ground, "stick/.ostree/repos.d/first", COLLECTION, &["a"]);
    mirror(&ground, "stick/ostree/repo", "org.example.Unknown", &["e"]);
    symlink("../../elsewhere", ground.path("stick/.ostree/repos.d/second")).expect("link");
    symlink("nowhere", ground.path("stick/.ostree/repos.d/broken")).expect("link");
    ground.write("stick/.ostree/repos.d/file", "no repository");
    let mut wanted = keys(&["a", "b", "c", "missing"]);
    wanted.insert(CollectionRef::new("org.example.Unknown", "e").expect("a ref"));
    let found = mounted(&repo, &remotes, &[volume], &wanted).expect("found");
    let found: Vec<_> = found
        .iter()
        .map(|c| {
            let path = c.directory.as_ref().expect("a directory");
            let path = path.strip_prefix(ground.path("stick")).expect("on the volume");
            let names: Vec<_> = c.refs.iter().map(|r| r.name.to_string()).collect();
            (path.to_str().expect("UTF-8").to_string(), names.join(" "), c.remote.name.clone())
        })
        .collect();
    let row = |path: &str, refs: &str| (path.to_string(), refs.to_string(), "one".to_string());
    let expected = [
        row(".ostree/repos.d/first", "a"),
        row(".ostree/repos.d/second", "b"),
        row(".ostree/repo", "c"),
    ];
    assert_eq!(found, expected);
}

/// What a link or a parent leads to on another file system is not of the volume, and the
/// repository that is looked for is no source for itself.
#[test]
fn links_off_the_volume_lead_nowhere() {
    let Some(ground) = Ground::new() else { return };
    let (repo, remotes) = seeker(&ground);
    let volume = volume(&ground);
    let other = tempfile::tempdir_in("/dev/shm").expect("a directory of another file system");
    mirror(&ground, "away", COLLECTION, &["a"]);
    let copied = std::process::Command::new("cp")
        .args(["-a", ground.path("away").to_str().expect("UTF-8")])
        .arg(other.path())
        .status();
    assert!(copied.expect("cp starts").success());
    let away = other.path().join("away");
    symlink(&away, ground.path("stick/.ostree/repos.d/away")).expect("link");
    mirror(&ground, "stick/ostree/repo", COLLECTION, &["b"]);
    let away = away.to_str().expect("UTF-8");
    ground.ostree("stick/ostree/repo", &["config", "set", "core.parent", away]);
    ground.write("tree/file", "here");
    let commit = ground.commit("here", "main", 1_000_000);
    let create = format!("--create={COLLECTION}:self");
    ground.ostree("here", &["refs", "--collections", &create, &commit]);
    symlink(ground.path("here"), ground.path("stick/.ostree/repos.d/here")).expect("link");
    let found = mounted(&repo, &remotes, &[volume], &keys(&["a", "b", "self"])).expect("found");
    assert!(found.is_empty(), "{found:?}");
}

/// Summaries as candidates give them.
struct Offers {
    listed: Vec<(Candidate, Summary)>,
    remote: Remote,
    wanted: BTreeSet<CollectionRef>,
}

impl Offers {
    /// A candidate with the refs, their commits and the times it claims.
    fn add(&mut self, directory: Option<&str>, refs: &[(&str, Checksum, Option<u64>)]) {
        let of = |(name, commit, time): &(&str, Checksum, Option<u64>)| {
            let mut metadata = Metadata::default();
            if let Some(time) = time {
                metadata.set("ostree.commit.timestamp", Value::Uint64(time.to_be()));
            }
            SummaryRef { name: (*name).to_string(), commit_size: 100, commit: *commit, metadata }
        };
        let mut summary = Summary::default();
        summary.collections.insert(COLLECTION.to_string(), refs.iter().map(of).collect());
        let candidate = Candidate {
            remote: self.remote.clone(),
            directory: directory.map(PathBuf::from),
            refs: self.wanted.clone(),
        };
        self.listed.push((candidate, summary));
    }

    fn newest(&self, repo: &Repo) -> Vec<(String, Vec<(String, bool)>)> {
        let mut nobody = |_: &Candidate, _: &Checksum| None;
        let found = newest(repo, &self.listed, &self.wanted, &mut nobody).expect("found");
        found.iter().map(row).collect()
    }
}

fn row(found: &FoundRemote) -> (String, Vec<(String, bool)>) {
    let place =
        found.candidate.directory.as_ref().map_or("config".into(), |d| d.display().to_string());
    let refs = found.refs.iter().map(|(key, commit)| (key.name.to_string(), commit.is_some()));
    (place, refs.collect())
}

fn offers(ground: &Ground, wanted: &[&str]) -> (Repo, Offers) {
    let (repo, remotes) = seeker(ground);
    let remote = remotes["one"].clone();
    (repo, Offers { listed: Vec::new(), remote, wanted: keys(wanted) })
}

fn sum(text: &str) -> Checksum {
    Checksum::of(text.as_bytes())
}

/// Who has an older commit of a ref has none; volumes come before remotes; one that has nothing
/// of the newest is not there.
#[test]
fn the_newest_commits_count() {
    let Some(ground) = Ground::new() else { return };
    let (repo, mut offers) = offers(&ground, &["a", "b"]);
    let (old, new, b) = (sum("old"), sum("new"), sum("b"));
    offers.add(None, &[("a", new, Some(20)), ("b", b, Some(5))]);
    offers.add(Some("/old"), &[("a", old, Some(10))]);
    offers.add(Some("/mixed"), &[("a", old, Some(10)), ("b", b, Some(5))]);
    offers.add(Some("/new"), &[("a", new, Some(20))]);
    let refs = |a, b| vec![("a".to_string(), a), ("b".to_string(), b)];
    let expected = vec![
        ("/mixed".to_string(), refs(false, true)),
        ("/new".to_string(), refs(true, false)),
        ("config".to_string(), refs(true, true)),
    ];
    assert_eq!(offers.newest(&repo), expected);
}

/// A volume that says something else about a commit than a configured remote is left out, and
/// cannot have the remote left out.
#[test]
fn a_volume_cannot_contradict_a_remote() {
    let Some(ground) = Ground::new() else { return };
    let (repo, mut offers) = offers(&ground, &["a"]);
    offers.add(Some("/liar"), &[("a", sum("commit"), Some(99))]);
    offers.add(None, &[("a", sum("commit"), Some(20))]);
    let expected = vec![("config".to_string(), vec![("a".to_string(), true)])];
    assert_eq!(offers.newest(&repo), expected);
}

/// Where no summary tells the time of a commit, the commit itself is asked for; bytes that are
/// not those of the commit are not believed.
#[test]
fn commits_tell_their_time_where_summaries_do_not() {
    let Some(ground) = Ground::new() else { return };
    let (repo, mut offers) = offers(&ground, &["a"]);
    mirror(&ground, "there", COLLECTION, &["a"]);
    let there = ground.open("there");
    let commit = there.list_mirror_refs().expect("refs").into_values().next().expect("a ref");
    let name = trefoil_format::object::ObjectType::Commit;
    let bytes = there.load_metadata(name, &commit).expect("commit");
    // Its time is 1,000,000.
    offers.add(None, &[("a", commit, None)]);
    offers.add(Some("/older"), &[("a", sum("older"), Some(999_999))]);
    let mut asked = 0;
    let mut fetch = |_: &Candidate, wanted: &Checksum| {
        asked += 1;
        (*wanted == commit).then(|| bytes.clone())
    };
    let found = newest(&repo, &offers.listed, &offers.wanted, &mut fetch).expect("found");
    let expected = vec![("config".to_string(), vec![("a".to_string(), true)])];
    assert_eq!(found.iter().map(row).collect::<Vec<_>>(), expected);
    assert_eq!(asked, 1);
    let mut lie = |_: &Candidate, _: &Checksum| Some(b"other bytes".to_vec());
    let error = newest(&repo, &offers.listed, &offers.wanted, &mut lie).expect_err("a lie");
    assert_eq!(chain(&error), format!("Metadata not found for commit '{commit}'"));
}

/// A repository in an unusual place gets one link, under a name that is free; one in a usual
/// place gets none.
#[test]
fn a_repository_is_linked_once() {
    let Some(ground) = Ground::new() else { return };
    let volume = volume(&ground);
    mirror(&ground, "stick/some/place", COLLECTION, &["a"]);
    mirror(&ground, "stick/ostree/repo", COLLECTION, &["a"]);
    ground.write("stick/.ostree/repos.d/00-generated", "in the way");
    let usual = ground.open("stick/ostree/repo");
    assert_eq!(publish_repo(&volume, "ostree/repo", &usual).expect("published"), None);
    let repo = ground.open("stick/some/place");
    let link = publish_repo(&volume, "some/place", &repo).expect("published");
    assert_eq!(link.as_deref(), Some(".ostree/repos.d/01-generated"));
    assert_eq!(publish_repo(&volume, "some/place", &repo).expect("published"), None);
    let target = fs::read_link(ground.path("stick/.ostree/repos.d/01-generated")).expect("link");
    assert_eq!(target, PathBuf::from("../../some/place"));
}
