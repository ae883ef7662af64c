//! `static-delta apply-offline`.

use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_fsat::Dir;
use trefoil_repo::RepoError;
use trefoil_repo::delta::{CheckSignature, Limits, SignedDelta, apply_offline};

use super::KeyArgs;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `static-delta apply-offline`.
#[derive(Args, Debug)]
pub struct ApplyOfflineArgs {
    /// The file of the superblock, or a directory with a file `superblock`; then public keys
    #[arg(value_name = "PATH [KEY-ID...]")]
    arguments: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Runs `static-delta apply-offline`.
pub fn run(args: ApplyOfflineArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let Some((path, keys)) = args.arguments.split_first() else {
        return Err(CliError::failed("PATH must be specified"));
    };
    let (dir, file) = locate(cx, path)?;
    let wants_check =
        !keys.is_empty() || args.keys.keys_file.is_some() || args.keys.keys_dir.is_some();
    let check: CheckSignature<'_> = &refuse;
    let progress = cx.progress("apply delta");
    apply_offline(&repo, &dir, &file, wants_check.then_some(check), &Limits::default())?;
    drop(progress);
    Ok(())
}

/// What the caller asked to be checked must not pass unchecked.
fn refuse(_: &SignedDelta) -> std::result::Result<(), RepoError> {
    Err(RepoError::Refused(
        "verifying the signatures of static deltas is not implemented yet".into(),
    ))
}

fn locate(cx: &Context, path: &Path) -> Result<(Dir, String)> {
    if path.is_dir() {
        return Ok((cx.fs.open_dir(path)?, "superblock".to_string()));
    }
    super::split_file(cx, path)
}
