//! `watch`, as scripts and people use it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::commit_told::{full, tree_of};
use crate::support::Lab;

/// A `watch` that runs. Killed if the test fails before it ended it.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(lab: &Lab, more: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trefoil"))
            .args(["--repo=repo", "watch", "tree", "--ref=main", "--settle=150"])
            .args(more)
            .current_dir(lab.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let out = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Running { child, out }
    }

    /// The next line of its standard output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it can be read");
        line.trim_end().to_string()
    }

    /// Ends it as an administrator would, and gives its words.
    fn end(mut self, signal: &str) -> String {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        let errors = self.child.stderr.take().expect("it is a pipe");
        let words = std::io::read_to_string(errors).expect("it can be read");
        assert_eq!(status.code(), Some(0), "{words}");
        words
    }
}

fn backends() -> &'static [&'static str] {
    let root = fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    if !root {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "fanotify needs root");
        eprintln!("SKIPPED: fanotify needs root");
    }
    if root { &["--backend=inotify", "--backend=fanotify"] } else { &["--backend=inotify"] }
}

/// Guards the round trip: a line for each commit, the commit that of everything, the command
/// run with its checksum, its failure no end, and a clean end.
#[test]
fn changes_are_committed_as_they_settle() {
    for backend in backends() {
        let lab = Lab::new("bare-user");
        lab.tree();
        let exec = "echo $TREFOIL_REF $TREFOIL_COMMIT >> done; echo to standard error; false";
        let mut running = Running::start(&lab, &[backend, "--exec", exec]);
        let first = running.line();
        assert_eq!(tree_of(&lab, "main"), full(&lab));
        fs::write(lab.path("tree/dir/file"), "edited").expect("tree is writable");
        fs::create_dir_all(lab.path("tree/made/deep")).expect("tree is writable");
        fs::write(lab.path("tree/made/deep/file"), "new").expect("tree is writable");
        let second = running.line();
        assert_eq!(tree_of(&lab, "main"), full(&lab));
        let tip = lab.must(&["rev-parse", "main"]);
        let fields: Vec<&str> = second.split(' ').collect();
        assert_eq!(fields[..2], [tip.trim(), "2"], "{second}");
        // A time alone is nothing to commit; the next line is that of the removal.
        let file = fs::File::options().write(true).open(lab.path("tree/empty"));
        let old = std::time::SystemTime::UNIX_EPOCH;
        file.and_then(|file| file.set_modified(old)).expect("tree is writable");
        fs::remove_dir_all(lab.path("tree/made")).expect("tree is writable");
        let third = running.line();
        let words = running.end("-TERM");
        let name = backend.split_once('=').expect("it is an option").1;
        assert!(words.starts_with(&format!("watching tree by {name}, committing to main")));
        assert!(words.contains("to standard error\nthe command of --exec failed: exit status: 1"));
        assert!(words.ends_with("ended after 3 commits\n"), "{words}");
        let commit = |line: &str| line.split(' ').next().unwrap_or_default().to_string();
        let done: Vec<String> =
            [first, second, third].iter().map(|line| format!("main {}\n", commit(line))).collect();
        let seen = fs::read_to_string(lab.path("done")).expect("the command was run");
        assert_eq!(seen, done.concat());
        lab.must(&["fsck", "-q"]);
    }
}

/// Guards that what cannot be committed is said once and made up for when it is gone.
#[test]
fn what_cannot_be_committed_is_said_once() {
    let lab = Lab::new("bare-user");
    lab.tree();
    let mut running = Running::start(&lab, &["--backend=inotify"]);
    running.line();
    let socket = lab.path("tree/socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("tree is writable");
    for i in 0..3 {
        fs::write(lab.path("tree/empty"), i.to_string()).expect("tree is writable");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    drop(listener);
    fs::remove_file(&socket).expect("tree is writable");
    running.line();
    assert_eq!(tree_of(&lab, "main"), full(&lab));
    let words = running.end("-INT");
    let said = "not committed yet: Not a regular file or symlink: /socket is a socket\n";
    assert_eq!(words.matches(said).count(), 1, "{words}");
}

/// Guards scripts: one round, no commit of an unchanged tree, JSON that names it all, and the
/// options that change the result.
#[test]
fn one_round_is_enough_for_scripts() {
    let lab = Lab::new("archive");
    lab.tree();
    fs::write(lab.path("skips"), "/prog\n").expect("the folder is writable");
    let words = ["watch", "tree", "--ref=main", "--once", "--settle=20", "--json"];
    let options = ["--owner-uid=7", "--owner-gid=8", "--no-xattrs", "--skip-list=skips"];
    let once = || lab.must(&[&words[..], &options, &["-s", "Watched"]].concat());
    let line = once();
    let tip = lab.must(&["rev-parse", "main"]);
    let head = format!("{{\"commit\":\"{}\",\"parent\":null,\"ref\":\"main\"", tip.trim());
    assert!(line.starts_with(&head) && line.ends_with("}\n"), "{line}");
    let commit = ["commit", "--orphan", "--no-index", "--tree=dir=tree"];
    let expected = lab.must(&[&commit[..], &options].concat());
    assert_eq!(tree_of(&lab, "main"), tree_of(&lab, expected.trim()));
    assert_eq!(once(), "", "nothing changed");
    // A list works for each commit anew, also for one that looks at everything again.
    let mut running = Running::start(&lab, &[&options[..], &["--backend=inotify"]].concat());
    for text in ["more", "and more"] {
        fs::write(lab.path("tree/prog"), text).expect("tree is writable");
        fs::write(lab.path("tree/dir/file"), text).expect("tree is writable");
        let line = running.line();
        let expected = lab.must(&[&commit[..], &options].concat());
        assert_eq!(tree_of(&lab, "main"), tree_of(&lab, expected.trim()), "{line}");
    }
    running.end("-TERM");
    fs::write(lab.path("tree/dir/file"), "again").expect("tree is writable");
    let line = once();
    assert!(line.contains("\"changed\":1,\"added\":0,\"modified\":1,\"removed\":0"), "{line}");
    assert!(lab.must(&["show", "main"]).contains("Watched"));
    assert!(lab.must(&["log", "main"]).matches("commit ").count() == 4);
}

/// Guards that what makes no sense is refused.
#[test]
fn senseless_watches_are_refused() {
    let lab = Lab::new("archive");
    lab.tree();
    for (words, expected) in [
        ("watch --ref=main", "A directory to watch must be specified"),
        ("watch tree", "A branch must be specified with --ref"),
        ("watch tree --ref=../main", "../main"),
        ("watch . --ref=main", "the repository lies in ."),
        ("watch nosuch --ref=main", "No such file or directory"),
        ("watch tree --ref=main --once --skip-list=list", "Unmatched skip-list paths"),
    ] {
        fs::write(lab.path("list"), "/nosuch\n").expect("the folder is writable");
        let words: Vec<&str> = words.split(' ').collect();
        let said = lab.trefoil(&words);
        assert!(!said.ok && said.error_line().contains(expected), "{words:?}: {said:?}");
        assert_eq!(lab.must(&["refs"]), "");
    }
}

/// Guards that a directory that is gone is an error, and no empty commit.
#[test]
fn a_removed_directory_ends_it() {
    let lab = Lab::new("bare-user");
    lab.tree();
    let mut running = Running::start(&lab, &["--backend=inotify"]);
    running.line();
    let tip = lab.must(&["rev-parse", "main"]);
    fs::remove_dir_all(lab.path("tree")).expect("tree is writable");
    assert_eq!(running.line(), "", "it ends");
    let errors = running.child.stderr.take().expect("it is a pipe");
    let words = std::io::read_to_string(errors).expect("it can be read");
    assert!(words.ends_with("error: tree was removed: nothing to watch\n"), "{words}");
    assert_eq!(running.child.wait().expect("it ended").code(), Some(1));
    assert_eq!(lab.must(&["rev-parse", "main"]), tip);
}
