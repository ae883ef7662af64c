//! How what is found in a directory is changed on its way into a commit.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::commit::{CommitModifier, SkipList, StatOverrides};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::user_files;

/// Owners, modes, attributes, and what is left out.
#[derive(Args, Debug)]
pub struct AttributeArgs {
    /// Set file ownership user id
    #[arg(long, value_name = "UID")]
    owner_uid: Option<i64>,
    /// Set file ownership group id
    #[arg(long, value_name = "GID")]
    owner_gid: Option<i64>,
    /// Canonicalize permissions in the same way bare-user does for hardlinked files
    #[arg(long)]
    canonical_permissions: bool,
    /// Ensure executable files are not writable
    #[arg(long)]
    mode_ro_executables: bool,
    /// Do not import extended attributes
    #[arg(long)]
    no_xattrs: bool,
    /// File containing list of modifications to make to permissions
    #[arg(long, value_name = "PATH")]
    statoverride: Option<PathBuf>,
    /// File containing list of files to skip
    #[arg(long, value_name = "PATH")]
    skip_list: Option<PathBuf>,
}

impl AttributeArgs {
    /// Refuses what makes no sense together.
    pub fn check(&self) -> Result<()> {
        for (id, option) in [(self.owner_uid, "uid"), (self.owner_gid, "gid")] {
            if self.canonical_permissions && id.is_some_and(|id| id > 0) {
                return Err(CliError::failed(format!(
                    "Cannot specify both --canonical-permissions and non-zero --owner-{option}"
                )));
            }
        }
        Ok(())
    }

    /// What these options ask for, and nothing besides. Reads the lists.
    pub fn modifier(&self) -> Result<CommitModifier> {
        Ok(CommitModifier {
            owner_uid: id(self.owner_uid)?,
            owner_gid: id(self.owner_gid)?,
            skip_xattrs: self.no_xattrs,
            canonical_permissions: self.canonical_permissions,
            mode_ro_executables: self.mode_ro_executables,
            stat_overrides: match &self.statoverride {
                Some(path) => StatOverrides::parse(&user_files::read(path)?)?,
                None => StatOverrides::default(),
            },
            skip_list: match &self.skip_list {
                Some(path) => SkipList::parse(&user_files::read(path)?),
                None => SkipList::default(),
            },
            ..CommitModifier::default()
        })
    }
}

/// Negative numbers mean that the owner stays.
fn id(id: Option<i64>) -> Result<Option<u32>> {
    match id {
        None | Some(..0) => Ok(None),
        Some(id) => u32::try_from(id)
            .map(Some)
            .map_err(|_| CliError::failed(format!("Owner {id} is out of range"))),
    }
}

/// Fails where the lists name paths that nothing had, after everything was looked at.
pub fn report_unmatched(cx: &Context, modifier: &CommitModifier) -> Result<()> {
    let overrides = modifier.unmatched_overrides();
    for path in &overrides {
        cx.ui.words(format_args!("Unmatched statoverride path: {path}"))?;
    }
    if !overrides.is_empty() {
        return Err(CliError::failed("Unmatched statoverride paths"));
    }
    let skips = modifier.unmatched_skips();
    for path in &skips {
        cx.ui.words(format_args!("Unmatched skip-list path: {path}"))?;
    }
    match skips.is_empty() {
        true => Ok(()),
        false => Err(CliError::failed("Unmatched skip-list paths")),
    }
}
