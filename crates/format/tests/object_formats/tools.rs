//! The programs that judge us.

use std::path::Path;
use std::process::{Command, Output};

/// Tells whether `program` is installed. Without it a test is skipped aloud, but fails in CI.
pub fn have(program: &str, test: &str) -> bool {
    let found = std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} needs {program} in CI");
        eprintln!("SKIPPED: {test} needs {program}");
    }
    found
}

/// Runs a command that has to succeed and returns its standard output.
pub fn run(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Runs `ostree` on a repository.
pub fn ostree(repo: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("ostree");
    command.arg(format!("--repo={}", repo.display())).args(arguments);
    String::from_utf8(run(&mut command)).expect("ostree prints UTF-8")
}
