//! A sysroot with a remote, for both programs to work on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use trefoil_testkit::os_tree::OsTree;
use trefoil_testkit::ostree::is_root;

use crate::support::Said;

pub const TREFOIL: &str = env!("CARGO_BIN_EXE_trefoil");
pub const REF: &str = "os/main";

/// A tree, the repository it is committed to, and a sysroot with a remote that leads there.
pub struct Site {
    dir: TempDir,
    pub tree: OsTree,
}

impl Site {
    /// One commit, pulled and not deployed. Ordinary users get repositories that they can
    /// deploy from.
    pub fn new() -> Site {
        Site::new_in(TempDir::new().expect("a temporary directory can be made"))
    }

    /// The same in a directory that the caller has prepared.
    pub fn new_in(dir: TempDir) -> Site {
        let mode = if is_root() { "bare" } else { "bare-user" };
        let tree = OsTree::create(&dir.path().join("tree"));
        let site = Site { dir, tree };
        fs::create_dir(site.path("sysroot")).expect("the folder is ours");
        site.must(&format!("admin init-fs --modern --mode={mode} sysroot"));
        let said = site.must("admin os-init testos");
        assert_eq!(said.out, "ostree/deploy/testos initialized as OSTree stateroot\n");
        site.must(&format!("init --repo=source --mode={mode}"));
        let url = format!("file://{}", site.path("source").display());
        site.must(&format!("remote add --repo=sysroot/ostree/repo --no-sign-verify origin {url}"));
        site.commit("1");
        site.pull();
        site
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    /// Commits the tree at a time that its version tells.
    pub fn commit(&self, version: &str) -> String {
        let words = format!(
            "commit --repo=source -b {REF} --tree=dir=tree --timestamp=@100000000{version} \
             --add-metadata-string=version={version} --add-metadata-string=ostree.source-title=Title"
        );
        self.must(&words).out.trim().to_string()
    }

    pub fn pull(&self) {
        self.must(&format!("pull --repo=sysroot/ostree/repo origin {REF}"));
    }

    pub fn deploy(&self, more: &str) -> Said {
        self.must(&format!("admin deploy --os=testos origin:{REF} {more}"))
    }

    /// The `etc` of the deployment that boots next.
    pub fn etc(&self, rel: &str) -> PathBuf {
        let dir = self.must("admin --print-current-dir").out;
        Path::new(dir.trim()).join("etc").join(rel)
    }

    pub fn trefoil(&self, words: &str) -> Said {
        self.run(TREFOIL, words)
    }

    pub fn must(&self, words: &str) -> Said {
        let said = self.trefoil(words);
        assert!(said.ok, "{words}: {said:?}");
        said
    }

    pub fn json(&self, words: &str) -> serde_json::Value {
        let said = self.must(words);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{words}: {e}: {said:?}"))
    }

    pub fn run(&self, program: &str, words: &str) -> Said {
        let output = Command::new(program)
            .args(words.split(' ').filter(|word| !word.is_empty()))
            .current_dir(self.dir.path())
            .env("OSTREE_SYSROOT", self.path("sysroot"))
            .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("the program can be started");
        Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What both programs print for the same verb, which has to be the same.
    pub fn agree(&self, words: &str) -> String {
        let (theirs, ours) = (self.run("ostree", words), self.trefoil(words));
        assert!(theirs.ok && ours.ok, "{words}\ntheirs: {theirs:?}\nours: {ours:?}");
        assert_eq!(theirs.out, ours.out, "{words}");
        ours.out
    }

    /// Every name below the sysroot, with what a change of it would alter.
    pub fn snapshot(&self) -> Vec<String> {
        let output = Command::new("find")
            .args(["-printf", "%p %i %m %U %G %s %n %T@ %l\n"])
            .current_dir(self.path("sysroot"))
            .output()
            .expect("find can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    }
}
