//! `static-delta delete`.

use clap::Args;
use trefoil_repo::delta::{delete_delta, delta_files};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::size;

/// Arguments of `static-delta delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// The delta, as `list` prints it
    #[arg(value_name = "DELTA")]
    delta: Option<String>,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Runs `static-delta delete`.
pub fn run(args: DeleteArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let delta = args.delta.ok_or_else(|| CliError::failed("DELTA must be specified"))?;
    let name = delta.parse()?;
    if args.dry_run {
        let found = delta_files(&repo, &name)?;
        let (files, bytes) = (found.files, size::words(found.bytes));
        return cx.ui.line(format_args!("{name} would be deleted: {files} files, {bytes}"));
    }
    Ok(delete_delta(&repo, &name)?)
}
