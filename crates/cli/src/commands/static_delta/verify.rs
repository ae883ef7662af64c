//! `static-delta verify`.

use clap::Args;

use super::KeyArgs;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `static-delta verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The delta, as `list` prints it, or the path of a file; then public keys
    #[arg(value_name = "STATIC-DELTA-FILE [KEY-ID...]")]
    arguments: Vec<String>,
    #[command(flatten)]
    _keys: KeyArgs,
}

/// Runs `static-delta verify`.
pub fn run(args: VerifyArgs, cx: &Context) -> Result<()> {
    cx.open_repo()?;
    if args.arguments.is_empty() {
        return Err(CliError::failed("DELTA must be specified"));
    }
    Err(CliError::not_yet("verifying the signatures of static deltas"))
}
