//! `static-delta delete`.

use clap::Args;
use trefoil_repo::delta::delete_delta;

use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `static-delta delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// The delta, as `list` prints it
    #[arg(value_name = "DELTA")]
    delta: Option<String>,
}

/// Runs `static-delta delete`.
pub fn run(args: DeleteArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let delta = args.delta.ok_or_else(|| CliError::failed("DELTA must be specified"))?;
    Ok(delete_delta(&repo, &delta.parse()?)?)
}
