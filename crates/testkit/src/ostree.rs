//! The real `ostree` as an oracle.

#![allow(clippy::disallowed_methods, reason = "tests look at the real system")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A runner of the installed `ostree`.
#[derive(Clone, Debug)]
pub struct Ostree {
    sysroot: Option<PathBuf>,
}

impl Ostree {
    /// `None` where there is no `ostree`, said loudly; under `CI=true` that is a failure.
    pub fn find() -> Option<Ostree> {
        if Command::new("ostree").arg("--version").output().is_ok() {
            return Some(Ostree { sysroot: None });
        }
        missing("ostree is not installed");
        None
    }

    /// A runner for `ostree admin` on `sysroot`; needs root too, like [`Ostree::find`].
    pub fn for_sysroot(sysroot: &Path) -> Option<Ostree> {
        if !is_root() {
            missing("deploying with mode bare needs root");
            return None;
        }
        Ostree::find().map(|_| Ostree { sysroot: Some(sysroot.to_path_buf()) })
    }

    /// Runs `ostree` with these arguments, whatever comes of it.
    pub fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new("ostree");
        command.args(args).env("OSTREE_SYSROOT_DEBUG", "mutable-deployments").env("LC_ALL", "C");
        if let Some(sysroot) = &self.sysroot {
            command.env("OSTREE_SYSROOT", sysroot);
        }
        command.output().expect("start ostree")
    }

    /// Runs `ostree`, which must succeed, and gives its standard output.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ostree {args:?} failed: {error}");
        String::from_utf8(output.stdout).expect("ostree prints UTF-8")
    }

    /// Runs `ostree admin`.
    pub fn admin(&self, args: &[&str]) -> String {
        self.run(&[&["admin"], args].concat())
    }
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|l| l.starts_with("Uid:") && l.split_whitespace().nth(2) == Some("0"))
}

/// Says that a test does not run, and fails under `CI=true`.
pub fn missing(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI=true: {what}");
    eprintln!("SKIPPED, NOTHING WAS TESTED: {what}");
}
