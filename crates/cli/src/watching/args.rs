use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use trefoil_format::name::Refspec;
use trefoil_fsat::watch::Backend;
use trefoil_repo::Repo;

use super::Setup;
use crate::commands::commit::attributes::AttributeArgs;
use crate::commands::commit::metadata::MetadataArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::keyvalue;

/// Options of the verbs that watch a directory.
#[derive(Args, Debug)]
pub struct SetupArgs {
    /// Branch to commit to
    #[arg(short, long = "ref", visible_alias = "branch", value_name = "REF")]
    branch: Option<String>,
    /// One line subject of every commit
    #[arg(short, long, value_name = "SUBJECT", default_value = "")]
    subject: String,
    /// Full description of every commit
    #[arg(short = 'm', long, value_name = "BODY", default_value = "")]
    body: String,
    /// Commit after nothing changed for MS milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    settle: u64,
    /// Commit a tree that does not rest MS milliseconds after the first change
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    max_wait: u64,
    /// How changes are noticed: fanotify (root only), inotify, or auto for the first that works
    #[arg(long, value_name = "NAME", default_value = "auto")]
    backend: BackendName,
    #[command(flatten)]
    attributes: AttributeArgs,
    #[command(flatten)]
    metadata: MetadataArgs,
    /// Specify how to invoke fsync()
    #[arg(long, value_name = "POLICY", value_parser = keyvalue::boolean)]
    fsync: Option<bool>,
}

/// The words of `--backend`.
#[derive(Copy, Clone, Debug, ValueEnum)]
enum BackendName {
    Auto,
    Fanotify,
    Inotify,
}

impl From<BackendName> for Backend {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Auto => Backend::Auto,
            BackendName::Fanotify => Backend::Fanotify,
            BackendName::Inotify => Backend::Inotify,
        }
    }
}

impl SetupArgs {
    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<()> {
        let Some(branch) = &self.branch else {
            return Err(CliError::usage("A branch must be specified with --ref"));
        };
        branch.parse::<Refspec>()?;
        self.attributes.check()
    }

    /// The repository to commit to, as durable as the options ask.
    pub fn open_repo(&self, cx: &Context) -> Result<Repo> {
        let mut repo = cx.open_repo()?;
        if self.fsync == Some(false) {
            repo.set_fsync(false);
        }
        Ok(repo)
    }

    /// How the directory `path` is watched and committed.
    pub fn setup(self, path: PathBuf) -> Result<Setup> {
        Ok(Setup {
            path,
            branch: self.branch.unwrap_or_default(),
            subject: self.subject,
            body: self.body,
            modifier: self.attributes.modifier()?,
            metadata: self.metadata,
            backend: self.backend.into(),
            quiet: Duration::from_millis(self.settle),
            at_most: Duration::from_millis(self.max_wait),
        })
    }
}
