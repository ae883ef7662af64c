use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_fsat::Fs;
use trefoil_repo::commit::{
    ArchiveOptions, CommitModifier, CommitRequest, ImportStats, bind_refs, import_archive,
    import_dir, import_tree, write_commit,
};
use trefoil_repo::{MutableTree, Repo, RepoMode, Result, TransactionStats, TreeId};

pub const TIME: u64 = 1_700_000_000;

/// Whether a thing the test needs is there. In CI its absence is a failure.
pub fn have(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{what} is needed and missing");
        eprintln!("SKIPPED: {what} is needed and missing");
    }
    there
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

pub fn have_ostree() -> bool {
    have("ostree", Command::new("ostree").arg("--version").output().is_ok())
}

pub fn modes() -> Vec<RepoMode> {
    let mut modes = vec![RepoMode::BareUser, RepoMode::BareUserOnly, RepoMode::Archive];
    if have("root (for mode bare)", is_root()) {
        modes.push(RepoMode::Bare);
    }
    modes
}

#[track_caller]
pub fn ostree(repo: &Path, args: &[&str]) -> String {
    let output = Command::new("ostree")
        .arg(format!("--repo={}", repo.display()))
        .args(args)
        .output()
        .expect("ostree runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ostree {args:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_string()
}

/// A place with a tree, a repository of theirs and one of ours.
pub struct Bench {
    root: TempDir,
    pub mode: RepoMode,
}

impl Bench {
    pub fn new(mode: RepoMode) -> Self {
        let root = TempDir::new().unwrap();
        let bench = Bench { root, mode };
        for name in ["theirs", "ours"] {
            let mode = format!("--mode={mode}");
            ostree(&bench.path(name), &["init", &mode]);
            let config = bench.path(name).join("config");
            let text =
                fs::read_to_string(&config).unwrap() + "min-free-space-percent=0\nfsync=false\n";
            fs::write(config, text).unwrap();
        }
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn ours(&self) -> Repo {
        Repo::open(Fs::new().open_dir(self.path("ours")).unwrap()).unwrap()
    }

    /// Commits with libostree; the sources are named relative to the bench.
    #[track_caller]
    pub fn theirs(&self, sources: &[&str], options: &[&str]) -> String {
        let time = format!("--timestamp=@{TIME}");
        let mut args = vec!["commit", "-b", "main", "-s", "subject", "-m", "body", &time];
        args.extend(options);
        let trees: Vec<String> = sources
            .iter()
            .map(|s| match s.split_once('=') {
                Some(("tar", name)) => format!("--tree=tar={}", self.path(name).display()),
                Some(_) => format!("--tree={s}"),
                None => format!("--tree=dir={}", self.path(s).display()),
            })
            .collect();
        args.extend(trees.iter().map(String::as_str));
        ostree(&self.path("theirs"), &args)
    }

    pub fn commit(&self, sources: &[&str], modifier: &CommitModifier) -> Result<Ours> {
        self.commit_with(sources, modifier, &ArchiveOptions::default())
    }

    pub fn commit_with(
        &self,
        sources: &[&str],
        modifier: &CommitModifier,
        options: &ArchiveOptions<'_>,
    ) -> Result<Ours> {
        let repo = self.ours();
        let transaction = repo.begin()?;
        let mut tree = MutableTree::new();
        let mut imported = ImportStats::default();
        for source in sources {
            if let Some(rev) = source.strip_prefix("ref=") {
                let commit = repo.resolve_rev(rev)?;
                let over = TreeId::of_commit(&repo.load_commit(&commit)?);
                import_tree(&transaction, over, &mut tree, modifier)?;
            } else if let Some(name) = source.strip_prefix("tar=") {
                let mut file = fs::File::open(self.path(name)).unwrap();
                imported = import_archive(&transaction, &mut file, &mut tree, modifier, options)?;
            } else {
                let dir = Fs::new().open_dir(self.path(source)).unwrap();
                imported = import_dir(&transaction, &dir, &mut tree, modifier)?;
            }
        }
        let tree = tree.write(&transaction)?;
        let parent = repo.resolve_rev_opt("main")?;
        let mut metadata = Metadata::default();
        bind_refs(&repo, &mut metadata, &["main".to_string()]);
        let request = CommitRequest {
            tree,
            parent,
            subject: "subject".into(),
            body: "body".into(),
            metadata,
            detached: None,
            timestamp: TIME,
        };
        let checksum = write_commit(&transaction, request)?;
        transaction.set_ref("main".parse().unwrap(), Some(checksum));
        let written = transaction.commit()?;
        Ok(Ours { checksum, tree, imported, written })
    }

    /// Commits with both and requires equal checksums and a repository that `fsck` accepts.
    #[track_caller]
    pub fn same(&self, sources: &[&str], options: &[&str], modifier: &CommitModifier) -> Ours {
        self.same_with(sources, options, modifier, &ArchiveOptions::default())
    }

    #[track_caller]
    pub fn same_with(
        &self,
        sources: &[&str],
        options: &[&str],
        modifier: &CommitModifier,
        archive: &ArchiveOptions<'_>,
    ) -> Ours {
        let ours = self.commit_with(sources, modifier, archive).unwrap();
        let theirs = self.theirs(sources, options);
        if ours.checksum.to_string() != theirs {
            let list = |name: &str| ostree(&self.path(name), &["ls", "-R", "-C", "-X", "main"]);
            assert_eq!(list("ours"), list("theirs"), "{} {options:?}", self.mode);
        }
        assert_eq!(ours.checksum.to_string(), theirs, "{} {options:?}", self.mode);
        ostree(&self.path("ours"), &["fsck", "-q"]);
        ours
    }
}

#[derive(Debug)]
pub struct Ours {
    pub checksum: Checksum,
    pub tree: TreeId,
    pub imported: ImportStats,
    pub written: TransactionStats,
}
