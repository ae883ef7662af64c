//! `static-delta verify`.

use clap::Args;
use trefoil_repo::delta::verify_delta;

use super::KeyArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::keys;

/// Arguments of `static-delta verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The delta, as `list` prints it, or the path of a file; then public keys
    #[arg(value_name = "STATIC-DELTA-FILE [KEY-ID...]")]
    arguments: Vec<String>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Runs `static-delta verify`. The verdict goes to standard output, its reason is the error.
pub fn run(args: VerifyArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let Some((delta, texts)) = args.arguments.split_first() else {
        return Err(CliError::failed("DELTA must be specified"));
    };
    let ty = match keys::sign_type(args.keys.sign_type.as_deref()) {
        Ok(ty) => ty,
        Err(error) => {
            cx.ui.line("Sign-type not supported")?;
            return Err(error);
        }
    };
    let verifier = args.keys.verifier(cx, ty, texts)?;
    let verdict = super::read_named(cx, &repo, delta)
        .and_then(|(_, bytes)| Ok(verify_delta(&bytes, &verifier)?));
    cx.ui.line(if verdict.is_ok() { "Verification OK" } else { "Verification fails" })?;
    verdict.map(drop)
}
