//! Summaries, signatures, keys and settings.

use super::{SECRET, fail_alike, json, on, plan, rev};
use crate::signatures::Signers;
use crate::support::Lab;

/// Guards that the summary lists what was said, and what becomes of its signatures.
#[test]
fn a_summary_is_foreseen() {
    let lab = Lab::with_history("archive");
    lab.must(&["refs", "--create=newer", "main^"]);
    let said = plan(&lab, "repo", &["summary", "-u"]);
    lab.must(&["summary", "-u"]);
    let view = json(&lab.must(&["summary", "--json"]));
    let listed = view["refs"].as_array().expect("a list");
    for one in listed {
        let (name, commit) = (one["name"].as_str(), one["commit"].as_str());
        let line = format!("{} would be listed with {}", name.expect("it"), commit.expect("it"));
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert_eq!(said.lines().count(), listed.len() + 1, "{said}");
    assert!(said.ends_with("the summary would be written, without signatures\n"), "{said}");
    let sign = format!("--sign={SECRET}");
    let said = plan(&lab, "repo", &["summary", "-u", &sign]);
    assert!(said.ends_with("the summary would get 1 signatures\n"), "{said}");
    lab.must(&["summary", "-u", &sign]);
    let said = plan(&lab, "repo", &["summary", "-u"]);
    assert!(said.ends_with("the signatures of the summary would be removed\n"), "{said}");
    fail_alike(&lab, "repo", &["summary", "-u", "--sign=nokey"]);
    fail_alike(&lab, "repo", &["summary", "-u", "--add-metadata=nonsense"]);
    // One that belongs to a collection has its metadata in a commit too.
    lab.must(&["config", "set", "core.collection-id", "org.example.Lab"]);
    let said = plan(&lab, "repo", &["summary", "-u"]);
    assert!(said.contains("(org.example.Lab, newer) would be listed with "), "{said}");
    assert!(said.contains("ostree-metadata would point to a new commit"), "{said}");
    lab.must(&["summary", "-u"]);
    rev(&lab, "ostree-metadata");
}

/// Guards what is said of signatures that need no other program.
#[test]
fn signing_is_foreseen() {
    let lab = Lab::with_history("archive");
    let main = rev(&lab, "main");
    let said = plan(&lab, "repo", &["sign", "main", SECRET]);
    assert_eq!(said, format!("{main} would get 1 ed25519 signatures\n"));
    for words in [
        &["sign", "nosuch", SECRET][..],
        &["sign", "main"],
        &["sign", "main", "nokey"],
        &["sign", "main", "--keys-file=nosuch"],
    ] {
        fail_alike(&lab, "repo", words);
    }
}

/// Guards the verbs that go by `gpg`: signing, deleting signatures, and the keys of remotes.
#[test]
fn openpgp_is_foreseen() {
    let Some(signers) = Signers::new() else { return };
    signers.key("dry", "never");
    let key = "dry@example.com";
    let lab = &signers.lab;
    lab.must(&["commit", "-b", "main", "--tree=dir=tree"]);
    let main = rev(lab, "main");
    let home = "--gpg-homedir=gnupg";
    let sign = ["gpg-sign", "main", key, home];
    let said = said_of(lab, &sign);
    assert_eq!(said, format!("{main} would be signed with GPG key {key}\n"));
    lab.must(&sign);

    lab.must(&["remote", "add", "up", "http://x"]);
    signers.export("keys.gpg", &["dry"]);
    let import = ["remote", "gpg-import", "up", "--keyring=keys.gpg"];
    let said = said_of(lab, &import);
    assert!(
        said.starts_with("GPG key ") && said.ends_with(" would be imported to remote \"up\"\n")
    );
    assert!(lab.must(&import).contains("Imported 1 GPG key to remote"));
    assert_eq!(said_of(lab, &import), "all keys are known for remote \"up\"\n");
    let said = lab.trefoil(&["remote", "gpg-import", "up", "-k", "keys.gpg", "0BAD", "--dry-run"]);
    assert!(said.error_line().contains("Unable to find key"), "{said:?}");

    let delete = ["gpg-sign", "--delete", "main", key];
    assert_eq!(said_of(lab, &delete), "Signatures that would be deleted: 1\n");
    assert_eq!(lab.must(&delete), "Signatures deleted: 1\n");
}

/// As [`plan`], beside an agent of GnuPG that has files of its own.
fn said_of(lab: &Lab, words: &[&str]) -> String {
    let ours = || {
        let mut state = lab.state();
        state.retain(|path, _| path.starts_with(lab.path("repo")));
        state
    };
    let before = ours();
    let words: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
    let said = lab.must(&words);
    assert_eq!(before, ours(), "{words:?}");
    said
}

/// Guards settings and new repositories.
#[test]
fn settings_and_new_repositories_are_foreseen() {
    let lab = Lab::with_history("archive");
    let set = ["config", "set", "core.tmp-expiry-secs", "10"];
    let said = plan(&lab, "repo", &set);
    assert_eq!(said, "core.tmp-expiry-secs would be 10 (not set)\n");
    lab.must(&set);
    let said = plan(&lab, "repo", &["config", "set", "core.tmp-expiry-secs", "20"]);
    assert_eq!(said, "core.tmp-expiry-secs would be 20 (now 10)\n");
    let unset = ["config", "unset", "core.tmp-expiry-secs"];
    assert_eq!(plan(&lab, "repo", &unset), "core.tmp-expiry-secs would be unset\n");
    lab.must(&unset);
    assert_eq!(plan(&lab, "repo", &unset), "core.tmp-expiry-secs is not set\n");
    fail_alike(&lab, "repo", &["config", "set", "core.mode", "nonsense"]);
    fail_alike(&lab, "repo", &["config", "set", "nonsense", "x"]);

    let init = ["init", "--mode=bare-user"];
    let said = plan(&lab, "fresh", &init);
    assert_eq!(said, "repository fresh would be made in mode bare-user\n");
    on(&lab, "fresh", &init);
    let said = plan(&lab, "fresh", &init);
    assert_eq!(said, "repository fresh is there and would be left as it is\n");
    fail_alike(&lab, "fresh", &["init", "--mode=nonsense"]);
    fail_alike(&lab, "other", &["init", "--collection-id=-"]);
}

/// Guards the refs and remotes: what is refused is refused ahead, and what was said is done.
#[test]
fn refs_and_remotes_are_foreseen() {
    let lab = Lab::with_history("archive");
    for words in [
        &["reset", "nosuch", "main"][..],
        &["reset", "main", "nosuch"],
        &["refs", "--create=main", "main^"],
        &["refs", "--create=fresh", "nosuch"],
        &["refs", "--create=bad//name", "main"],
        &["refs", "-c", "--create=nocollection", "main"],
        &["refs", "-A", "--create=fresh", "nosuch"],
        &["refs", "--delete", "main-alias-target"],
        &["remote", "add", "origin", "http://x"],
        &["remote", "add", "bad/name", "http://x"],
        &["remote", "add", "new", "http://x", "--gpg-import=nosuch"],
        &["remote", "delete", "nosuch"],
        &["remote", "delete-cookie", "origin", "x.org", "/", "none"],
    ] {
        fail_alike(&lab, "repo", words);
    }
    let reset = ["reset", "main", "main^"];
    assert_eq!(plan(&lab, "repo", &reset), format!("main would point to {}\n", rev(&lab, "main^")));
    let add = ["remote", "add", "--if-not-exists", "third", "http://x", "main"];
    assert_eq!(plan(&lab, "repo", &add), "would add remote third: http://x\n  branches=main\n");
    lab.must(&add);
    let said = plan(&lab, "repo", &add);
    assert_eq!(said, "remote third is there and would be left as it is\n");
    let delete = ["remote", "delete", "--if-exists", "third"];
    assert_eq!(plan(&lab, "repo", &delete), "would delete remote third\n");
    lab.must(&delete);
    assert_eq!(plan(&lab, "repo", &delete), "there is no remote third\n");
    plan(&lab, "repo", &["remote", "add-cookie", "origin", "x.org", "/", "name", "value"]);
    // Where the summary follows the refs it follows what was done, not what was said.
    lab.must(&["config", "set", "core.auto-update-summary", "true"]);
    plan(&lab, "repo", &["refs", "--delete", "a"]);
    plan(&lab, "repo", &["refs", "--create=fresh", "main"]);
}
