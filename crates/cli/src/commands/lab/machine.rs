//! A throw-away sysroot.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::Refspec;
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::commit::{CommitRequest, bind_refs, write_commit};
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_repo::{MutableTree, Repo, RepoMode, Transaction, TreeId};
use trefoil_sysroot::deploy::{DeployOptions, DeployReport};
use trefoil_sysroot::spare::{SpareBuilder, Trust};
use trefoil_sysroot::{Account, Epoch, Phase, Sysroot, SysrootOptions, init_fs};

use super::edit::Edit;
use super::source::Owner;
use crate::dates;
use crate::error::{CliError, Result};

/// The ref that all versions are committed to.
pub const REF: &str = "demo/os";
/// The stateroot they are deployed in.
pub const STATEROOT: &str = "demo";

const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A sysroot below the scratch directory.
#[derive(Clone, Debug)]
pub struct Machine {
    path: PathBuf,
    fs: Fs,
}

/// A deploy and what it cost.
#[derive(Debug)]
pub struct Deployed {
    /// What the library says it did.
    pub report: DeployReport,
    /// The work, opening and planning included.
    pub phases: Vec<Phase>,
}

impl Deployed {
    /// Wall time of all phases in seconds.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|p| p.seconds).sum()
    }
}

/// A commit and what it cost.
#[derive(Debug)]
pub struct Committed {
    /// The commit.
    pub checksum: Checksum,
    /// Its tree.
    pub tree: TreeId,
    /// The work as one phase.
    pub phase: Phase,
}

impl Machine {
    /// Makes a sysroot with an empty stateroot at the new directory `name` of `parent`.
    pub fn create(fs: &Fs, parent: &Dir, name: &str, mode: RepoMode) -> Result<Machine> {
        parent.mkdir(name, 0o755)?;
        init_fs(&parent.open_dir(name)?, Epoch::Modern, mode)?;
        let machine = Machine { path: parent.path().join(name), fs: fs.clone() };
        let mut sysroot = machine.open()?;
        let lock = sysroot.lock(LOCK_WAIT)?;
        sysroot.init_stateroot(&lock, STATEROOT)?;
        Ok(machine)
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its repository, `ostree/repo`.
    pub fn repo_path(&self) -> PathBuf {
        self.path.join("ostree/repo")
    }

    /// Opens it as it is now. Deployments get no immutable bit, so that it can be removed.
    pub fn open(&self) -> Result<Sysroot> {
        let options = SysrootOptions {
            mutable_deployments: true,
            bootloader_naming_1: true,
            ..SysrootOptions::default()
        };
        Ok(Sysroot::open(&self.fs, &self.path, options)?)
    }

    /// Opens its repository.
    pub fn repo(&self) -> Result<Repo> {
        Ok(Repo::open(self.fs.open_dir(self.repo_path())?)?)
    }

    /// The tree of the newest deployment.
    pub fn newest(&self) -> Result<Dir> {
        let sysroot = self.open()?;
        Ok(sysroot.dir().open_dir(sysroot.deployment(0)?.path())?)
    }

    /// Commits what `make` puts together, as `version` of [`REF`].
    pub fn commit(
        &self,
        version: &str,
        make: impl FnOnce(&Transaction<'_>) -> Result<TreeId>,
    ) -> Result<Committed> {
        self.commit_as((version, true), make)
    }

    /// As [`Machine::commit`]; `told` puts the version into the commit, from where it gets into
    /// the boot menu.
    fn commit_as(
        &self,
        (version, told): (&str, bool),
        make: impl FnOnce(&Transaction<'_>) -> Result<TreeId>,
    ) -> Result<Committed> {
        let started = Instant::now();
        let clock = || started.elapsed();
        let mut account = Account::new(&self.fs, &clock);
        let repo = self.repo()?;
        let parent = repo.resolve_rev_opt(REF)?;
        let transaction = repo.begin()?;
        let tree = make(&transaction)?;
        let mut metadata = Metadata::new();
        if told {
            metadata.set("version", version);
        }
        bind_refs(&repo, &mut metadata, &[REF.to_string()]);
        let request = CommitRequest {
            tree,
            parent,
            subject: format!("version {version}"),
            body: String::new(),
            metadata,
            detached: None,
            timestamp: dates::now(),
        };
        let checksum = write_commit(&transaction, request)?;
        transaction.set_ref(REF.parse::<Refspec>()?, Some(checksum));
        transaction.commit()?;
        account.end("commit");
        let phase = account.finish().pop();
        let phase = phase.ok_or_else(|| CliError::failed("the commit was not accounted for"))?;
        Ok(Committed { checksum, tree, phase })
    }

    /// Commits `edits` of the tree `base`: costs what they touch.
    pub fn commit_edits(
        &self,
        version: &str,
        base: TreeId,
        edits: &[Edit],
        owner: Owner,
    ) -> Result<Committed> {
        self.commit_edits_as((version, true), base, edits, owner)
    }

    /// As [`Machine::commit_edits`]; the commit carries the version if it is `told`.
    pub fn commit_edits_as(
        &self,
        (version, told): (&str, bool),
        base: TreeId,
        edits: &[Edit],
        owner: Owner,
    ) -> Result<Committed> {
        self.commit_as((version, told), |transaction| {
            let mut tree = MutableTree::from_tree(base);
            for edit in edits {
                edit.apply(transaction, &mut tree, version, owner)?;
            }
            Ok(tree.write(transaction)?)
        })
    }

    /// Brings the newest commit of `source` over; objects become hard links where they can.
    pub fn pull_from(&self, source: &Machine) -> Result<()> {
        let options = PullOptions { refs: vec![PullRef::from(REF)], ..PullOptions::default() };
        pull_local(&self.repo()?, &source.repo()?, &options)?;
        Ok(())
    }

    /// Deploys the newest commit; without `recycle` by a full checkout.
    pub fn deploy(&self, trust: Trust, recycle: bool) -> Result<Deployed> {
        let started = Instant::now();
        let clock = || started.elapsed();
        let mut account = Account::new(&self.fs, &clock);
        let mut sysroot = self.open()?;
        let lock = sysroot.lock(LOCK_WAIT)?;
        account.end("open");
        let builder = SpareBuilder::new(trust, recycle);
        let mut options = DeployOptions::new(REF);
        options.stateroot = Some(STATEROOT.to_string());
        options.no_recycle = !recycle;
        let plan = sysroot.plan_deploy(&options, &builder)?;
        account.end("plan");
        let report = sysroot.apply_deploy(&lock, plan, &builder, &mut account)?;
        Ok(Deployed { report, phases: account.finish() })
    }
}
