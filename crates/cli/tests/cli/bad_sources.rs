//! Commits of what cannot be read, and to where there is no room.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::Lab;

const TREFOIL: &str = env!("CARGO_BIN_EXE_trefoil");
const NOBODY: u32 = 65_534;

/// Whether we may do what the test arranges. CI runs as root.
fn need_root() -> bool {
    let root = fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let root = root.unwrap_or(false);
    assert!(root || std::env::var("CI").as_deref() != Ok("true"), "CI has to run as root");
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

fn run(command: &mut Command) -> Output {
    command.output().expect("it can be started")
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).trim_end().to_string()
}

/// Guards that an unreadable file or directory is named, and that nothing is committed.
#[test]
fn unreadable_sources_are_named() {
    if !need_root() {
        return;
    }
    let lab = Lab::new("archive");
    lab.tree();
    // The program may lie where nobody else may look, and so may temporary directories.
    let program = lab.path("trefoil");
    fs::copy(TREFOIL, &program).expect("the program can be copied");
    fs::set_permissions(lab.path("."), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let own = run(Command::new("chown").args(["-R", "nobody"]).arg(lab.path(".")));
    assert!(own.status.success());
    let commit = || {
        let mut command = Command::new(&program);
        command.args(["--repo=repo", "commit", "-b", "main", "--tree=dir=tree"]);
        run(command.current_dir(lab.path(".")).uid(NOBODY).gid(NOBODY))
    };
    let close = |path: &str, mode: u32| {
        chown(lab.path(path), Some(0), Some(0)).expect("root may");
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(lab.path(path), mode).expect("root may");
    };
    close("tree/dir/file", 0o600);
    let said = error_of(&commit());
    let hint = "hint: run it as root, or on files you own";
    assert_eq!(said, format!("error: open tree/dir/file: Permission denied\n{hint}"));
    close("tree/dir/file", 0o644);
    close("tree/dir/sub", 0o700);
    let said = error_of(&commit());
    assert_eq!(said, format!("error: open tree/dir/sub: Permission denied\n{hint}"));
    assert!(!lab.trefoil(&["rev-parse", "main"]).ok);
    close("tree/dir/sub", 0o755);
    assert!(commit().status.success());
}

/// A small file system in memory.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(path: &'a Path) -> Self {
        fs::create_dir(path).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(path);
        assert!(run(&mut mount).status.success());
        Small(path)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.0));
    }
}

/// Guards that a full disk, and one that would come to its reserve, are named, that the
/// repository is as it was, and that the next commit succeeds.
#[test]
fn no_room_leaves_the_repository_whole() {
    if !need_root() {
        return;
    }
    let lab = Lab::new("archive");
    let full = lab.path("full");
    let _mounted = Small::mount(&full);
    let trefoil = |words: &[&str]| {
        run(Command::new(TREFOIL).arg("--repo=full/repo").args(words).current_dir(lab.path(".")))
    };
    assert!(trefoil(&["init", "--mode=bare-user-only"]).status.success());
    fs::create_dir_all(lab.path("tree/sub")).expect("it is ours");
    fs::write(lab.path("tree/small"), "s").expect("it is ours");
    let commit = ["commit", "-b", "main", "--tree=dir=tree"];
    assert!(trefoil(&commit).status.success());
    let before = trefoil(&["rev-parse", "main"]).stdout;
    fs::write(lab.path("tree/sub/large"), vec![b'l'; 8 << 20]).expect("it is ours");
    let reserve = error_of(&trefoil(&commit));
    assert!(reserve.contains("min-free-space-percent '3%' would be exceeded"), "{reserve}");
    assert!(reserve.contains("bytes requested in full/repo"), "{reserve}");
    let unset = ["config", "set", "core.min-free-space-percent", "0"];
    assert!(trefoil(&unset).status.success());
    let no_room = error_of(&trefoil(&commit));
    assert!(no_room.contains("full/repo/tmp/staging-"), "{no_room}");
    assert!(no_room.contains("No space left on device\nhint: free some space"), "{no_room}");
    assert_eq!(trefoil(&["rev-parse", "main"]).stdout, before);
    assert!(trefoil(&["fsck", "-q"]).status.success());
    fs::write(lab.path("tree/sub/large"), vec![b'l'; 1 << 20]).expect("it is ours");
    let next = trefoil(&commit);
    assert!(next.status.success(), "{next:?}");
    assert!(trefoil(&["fsck", "-q"]).status.success());
}
