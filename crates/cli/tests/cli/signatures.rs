//! Signatures against the real `ostree` and `gpg`, both ways.
//!
//! Debian's `ostree` has GnuPG but neither `ed25519` nor `spki`; those two are held against
//! OpenSSL in the tests of trefoil-sign, and against libostree by its own scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use trefoil_format::gvariant::{Metadata, Type, Value};

use crate::support::{Lab, need_ostree};

const GPGSIGS: &str = "ostree.gpgsigs";

/// A lab with a home of GnuPG, whose agent ends with it.
pub struct Signers {
    pub lab: Lab,
}

impl Drop for Signers {
    fn drop(&mut self) {
        let home = self.home();
        let kill = ["--homedir", home.to_str().unwrap_or_default(), "killagent", "/bye"];
        let _ = Command::new("gpg-connect-agent").args(kill).output();
    }
}

impl Signers {
    /// `None` where `ostree` or `gpg` is missing, which under CI is a failure.
    pub fn new() -> Option<Signers> {
        if !need_ostree() {
            return None;
        }
        let found = Command::new("gpg").arg("--version").output().is_ok_and(|o| o.status.success());
        if !found {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "gpg is missing");
            eprintln!("SKIPPED: gpg is not installed, nothing was compared");
            return None;
        }
        let signers = Signers { lab: Lab::new("archive") };
        fs::create_dir(signers.home()).expect("the folder is writable");
        use std::os::unix::fs::PermissionsExt;
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(signers.home(), private).expect("it is ours");
        signers.lab.tree();
        Some(signers)
    }

    fn home(&self) -> PathBuf {
        self.lab.path("gnupg")
    }

    fn gpg(&self, words: &[&str]) -> Output {
        let output = Command::new("gpg")
            .args(["--batch", "--no-tty", "--quiet", "--pinentry-mode=loopback", "--passphrase="])
            .arg("--homedir")
            .arg(self.home())
            .args(words)
            .current_dir(self.lab.path("."))
            .output()
            .expect("gpg starts");
        assert!(output.status.success(), "gpg {words:?}: {output:?}");
        output
    }

    /// A key of NAME@example.com, made at the beginning of 2020.
    pub fn key(&self, name: &str, ends: &str) {
        let user = format!("{name} <{name}@example.com>");
        let when = "--faked-system-time=20200101T000000";
        self.gpg(&[when, "--quick-gen-key", &user, "ed25519", "sign", ends]);
    }

    /// A detached signature of `data` as of 3 January 2020.
    fn signature(&self, data: &Path, name: &str, more: &[&str]) -> Vec<u8> {
        let user = format!("{name}@example.com");
        let data = data.to_str().expect("a path of ASCII");
        let when = "--faked-system-time=20200103T000000";
        let words = [&[when, "-u", &user][..], more, &["--detach-sign", "-o", "-", data]].concat();
        self.gpg(&words).stdout
    }

    /// Writes the public keys into a file.
    pub fn export(&self, file: &str, names: &[&str]) {
        let users: Vec<String> = names.iter().map(|name| format!("{name}@example.com")).collect();
        let words: Vec<&str> =
            ["--export"].into_iter().chain(users.iter().map(String::as_str)).collect();
        fs::write(self.lab.path(file), self.gpg(&words).stdout).expect("the folder is writable");
    }

    fn commit(&self, branch: &str, more: &[&str]) -> String {
        fs::write(self.lab.path("tree/branch"), branch).expect("the folder is writable");
        let branch = format!("--branch={branch}");
        let words = [&["commit", &branch, "--tree=dir=tree"][..], more].concat();
        self.lab.must(&words).trim().to_string()
    }

    fn object(&self, checksum: &str, suffix: &str) -> PathBuf {
        let (prefix, rest) = checksum.split_at(2);
        self.lab.path(&format!("repo/objects/{prefix}/{rest}.{suffix}"))
    }

    fn set_signatures(&self, checksum: &str, signatures: &[Vec<u8>]) {
        let mut metadata = Metadata::default();
        let values = signatures.iter().map(|s| Value::Bytes(s.clone())).collect();
        metadata.set(GPGSIGS, Value::Array(Type::bytes(), values));
        fs::write(self.object(checksum, "commitmeta"), metadata.to_bytes()).expect("it is ours");
    }

    /// Pulls a branch into a fresh repository by each program, and gives whether both took it.
    fn both_pull(&self, ring: &str, branch: &str) -> Result<(), String> {
        let mut results = Vec::new();
        for (program, name) in [(env!("CARGO_BIN_EXE_trefoil"), "ours"), ("ostree", "theirs")] {
            let dest = format!("--repo=dest-{name}-{branch}-{ring}");
            let run = |words: &[&str]| {
                let mut command = Command::new(program);
                command.args(words).arg(&dest).current_dir(self.lab.path("."));
                command.env("OSTREE_GPG_HOME", "/nonexistent").env("LC_ALL", "C");
                command.output().expect("it starts")
            };
            let _ = fs::remove_dir_all(self.lab.path(&format!("dest-{name}-{branch}-{ring}")));
            assert!(run(&["init", "--mode=archive"]).status.success());
            let import = format!("--gpg-import={ring}");
            let added = run(&["remote", "add", &import, "origin", "file:///nowhere"]);
            assert!(added.status.success(), "{name}: {added:?}");
            let pull = ["pull-local", "--remote=origin", "--gpg-verify", "repo", branch];
            let pulled = run(&pull);
            let refs = run(&["refs"]);
            let moved = String::from_utf8_lossy(&refs.stdout).contains(branch);
            assert_eq!(pulled.status.success(), moved, "{name}: the ref moves with success only");
            results.push((moved, String::from_utf8_lossy(&pulled.stderr).into_owned()));
        }
        assert_eq!(results[0].0, results[1].0, "{branch} with {ring}: {results:#?}");
        if results[0].0 { Ok(()) } else { Err(results[0].1.clone()) }
    }
}

/// The verdicts of both programs on the same signatures: by keys that are good, ended, revoked
/// or unknown, on a signature that ended, on data that changed, on the signature of another
/// commit, and on several at once.
#[test]
fn verdicts_are_those_of_ostree() {
    let Some(signers) = Signers::new() else { return };
    for (name, ends) in
        [("good", "never"), ("ended", "1y"), ("revoked", "never"), ("stranger", "never")]
    {
        signers.key(name, ends);
    }
    signers.export("before", &["good", "ended", "revoked"]);
    let commit = |branch: &str, by: &[(&str, &[&str])]| {
        let checksum = signers.commit(branch, &[]);
        let object = signers.object(&checksum, "commit");
        let made: Vec<_> =
            by.iter().map(|(name, more)| signers.signature(&object, name, more)).collect();
        signers.set_signatures(&checksum, &made);
        (checksum, made)
    };
    let short: &[&str] = &["--default-sig-expire=10d"];
    let (_, good) = commit("good", &[("good", &[])]);
    commit("ended", &[("ended", &[])]);
    commit("revoked", &[("revoked", &[])]);
    commit("unknown", &[("stranger", &[])]);
    commit("short", &[("good", short)]);
    commit("several", &[("stranger", &[]), ("ended", &[]), ("good", &[])]);
    let (replayed, _) = commit("replayed", &[("good", &[])]);
    signers.set_signatures(&replayed, &good);
    signers.commit("bare", &[]);
    revoke(&signers, "revoked");
    signers.export("ring", &["good", "ended", "revoked"]);

    let expected = [
        ("good", None),
        ("several", None),
        ("ended", Some("Key expired")),
        ("revoked", Some("Key revoked")),
        ("unknown", Some("public key not found")),
        ("short", Some("Expired signature from \"good <good@example.com>\"")),
        ("replayed", Some("BAD signature from \"good <good@example.com>\"")),
        ("bare", Some("GPG verification enabled, but no signatures found")),
    ];
    for (branch, words) in expected {
        match (signers.both_pull("ring", branch), words) {
            (Ok(()), None) => {}
            (Err(said), Some(words)) => assert!(said.contains(words), "{branch}: {said}"),
            (result, _) => panic!("{branch}: {result:?}"),
        }
    }
    signers.both_pull("before", "revoked").expect("before its revocation was known it counted");
    show_says_the_same(&signers, &expected.map(|(branch, _)| branch));
}

fn revoke(signers: &Signers, name: &str) {
    let listed = signers.gpg(&["--with-colons", "-k", &format!("{name}@example.com")]).stdout;
    let listed = String::from_utf8(listed).expect("ASCII");
    let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
    let fingerprint = line.split(':').nth(9).expect("the tenth field");
    let path = format!("gnupg/openpgp-revocs.d/{fingerprint}.rev");
    let text = fs::read_to_string(signers.lab.path(&path)).expect("gpg made it with the key");
    fs::write(signers.lab.path("revocation"), text.replace(":-----BEGIN", "-----BEGIN"))
        .expect("the folder is writable");
    signers.gpg(&["--import", "revocation"]);
}

/// `show` describes every signature as `ostree` does, with a keyring in the repository.
fn show_says_the_same(signers: &Signers, branches: &[&str]) {
    fs::copy(signers.lab.path("ring"), signers.lab.path("repo/any.trustedkeys.gpg"))
        .expect("the folder is writable");
    for branch in branches {
        let (theirs, ours) =
            (signers.lab.ostree(&["show", branch]), signers.lab.trefoil(&["show", branch]));
        // Of a forged signature gpg tells ostree neither time nor algorithm; we say what it claims.
        if *branch == "replayed" {
            let line = "  BAD signature from \"good <good@example.com>\"\n";
            assert!(ours.out.contains(line) && theirs.out.contains(line), "{ours:?}");
            continue;
        }
        // Days of one digit have a space of the width of a digit before them, in some GLibs.
        assert_eq!(ours.out, theirs.out.replace('\u{2007}', " "), "{branch}");
    }
}

/// What each program signs by `gpg` the other accepts: commits at once and afterwards, and the
/// summary; and what one removes is gone for the other.
#[test]
fn each_signs_for_the_other() {
    let Some(signers) = Signers::new() else { return };
    signers.key("good", "never");
    signers.export("ring", &["good"]);
    let lab = &signers.lab;
    let (key, home) = ("good@example.com", "--gpg-homedir=gnupg");
    let sign = format!("--gpg-sign={key}");
    for name in ["ours", "theirs"] {
        let run = |words: &[&str]| {
            let said = if name == "ours" { lab.trefoil(words) } else { lab.ostree(words) };
            assert!(said.ok, "{words:?}: {said:?}");
        };
        let at_once = format!("{name}-at-once");
        run(&["commit", "-b", &at_once, "--tree=dir=tree", &sign, home]);
        signers.both_pull("ring", &at_once).expect("signed with the commit");
        let later = format!("{name}-later");
        signers.commit(&later, &[]);
        run(&["gpg-sign", home, &later, key]);
        signers.both_pull("ring", &later).expect("signed afterwards");
        run(&["summary", "-u", &sign, home]);
        summary_is_accepted(&signers, &later);
        // ostree goes by a summary where there is one, and this one will be old.
        for file in ["repo/summary", "repo/summary.sig"] {
            fs::remove_file(lab.path(file)).expect("both were written");
        }
    }
    fs::copy(lab.path("ring"), lab.path("repo/any.trustedkeys.gpg")).expect("writable");
    let deleted = lab.must(&["gpg-sign", "--delete", "theirs-later", key]);
    assert_eq!(deleted, "Signatures deleted: 1\n");
    signers.both_pull("ring", "theirs-later").expect_err("it is signed no more");
    let said = lab.ostree(&["gpg-sign", "--delete", "ours-later", key]);
    assert_eq!(said.out, "Signatures deleted: 1\n", "{said:?}");
    signers.both_pull("ring", "ours-later").expect_err("it is signed no more");
    let said = lab.trefoil(&["gpg-sign", home, "ours-at-once", key]);
    assert!(said.ok || said.err.contains("already signed"), "{said:?}");
    let said = lab.trefoil(&["gpg-sign", home, "ours-at-once", "nobody@example.com"]);
    assert!(said.err.contains("No gpg key found with ID nobody@example.com"), "{said:?}");
}

fn summary_is_accepted(signers: &Signers, branch: &str) {
    for program in [env!("CARGO_BIN_EXE_trefoil"), "ostree"] {
        let run = |words: &[&str]| {
            let mut command = Command::new(program);
            command.args(words).arg("--repo=summaries").current_dir(signers.lab.path("."));
            command.env("OSTREE_GPG_HOME", "/nonexistent").output().expect("it starts")
        };
        run(&["init", "--mode=archive"]);
        run(&[
            "remote",
            "add",
            "--if-not-exists",
            "--gpg-import=ring",
            "origin",
            "file:///nowhere",
        ]);
        let pull = ["pull-local", "--remote=origin", "--gpg-verify-summary", "repo", branch];
        let good = run(&pull);
        assert!(good.status.success(), "{program}: {good:?}");
        let path = signers.lab.path("repo/summary");
        let bytes = fs::read(&path).expect("there is a summary");
        fs::write(&path, [&bytes[..], b" "].concat()).expect("it is ours");
        let bad = run(&pull);
        fs::write(&path, &bytes).expect("it is ours");
        assert!(!bad.status.success(), "{program} took a changed summary");
        assert!(String::from_utf8_lossy(&bad.stderr).contains("BAD signature"), "{bad:?}");
        fs::remove_dir_all(signers.lab.path("summaries")).expect("it is ours");
    }
}

/// Guards the other types end to end: a remote that wants them takes what is signed, refuses
/// what is not, and one type does not stand in for another.
#[test]
fn remotes_may_want_other_types() {
    let lab = Lab::new("archive");
    lab.tree();
    // RFC 8032, 7.1, test 2.
    let secret =
        "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";
    let public = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    lab.must(&["commit", "-b", "signed", "--tree=dir=tree", &format!("--sign={secret}")]);
    lab.must(&["commit", "-b", "plain", "--tree=dir=tree", "-s", "plain"]);
    fs::write(lab.path("secret"), secret).expect("the folder is writable");
    lab.must(&["commit", "-b", "filed", "--tree=dir=tree", "-s", "f", "--sign-from-file=secret"]);
    lab.must(&["summary", "-u", &format!("--sign={secret}")]);
    let url = format!("file://{}", lab.path("repo").display());
    let dest = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
        command.args(words).arg("--repo=dest").current_dir(lab.path("."));
        let output = command.output().expect("it starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(dest(&["init", "--mode=archive"]).0);
    let verify = format!("--sign-verify=ed25519=inline:{public}");
    let summary = "--set=sign-verify-summary=ed25519";
    let add = ["remote", "add", "--no-gpg-verify", &verify, summary, "origin", &url];
    assert!(dest(&add).0);
    assert_eq!(dest(&["pull", "origin", "signed"]), (true, String::new()));
    assert_eq!(dest(&["pull", "origin", "filed"]), (true, String::new()));
    let (ok, said) = dest(&["pull", "origin", "plain"]);
    assert!(!ok && said.contains("Can't verify commit without detached metadata"), "{said}");
    lab.must(&["summary", "-u"]);
    let (ok, said) = dest(&["pull", "origin", "signed"]);
    assert!(!ok && said.contains("no summary.sig found"), "{said}");
}
