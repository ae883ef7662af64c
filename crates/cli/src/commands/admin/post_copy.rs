//! `admin post-copy`: makes up for what a copy of a sysroot file by file loses.

use clap::Args;

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin post-copy`.
#[derive(Args, Debug)]
pub struct PostCopyArgs {}

/// Runs `admin post-copy`. The one thing that is lost is fs-verity, where a repository wants
/// it.
pub fn run(_: PostCopyArgs, target: &Target<'_>) -> Result<()> {
    let (sysroot, _lock) = target.open_locked()?;
    let config = &sysroot.repo().config().key_file;
    let wanted = config.string("ex-integrity", "fsverity");
    match wanted.as_deref() {
        None | Some("no" | "false" | "0") => Ok(()),
        Some(_) => Err(CliError::not_yet("fs-verity on a copied repository")),
    }
}
