//! `reset`: points a ref at an earlier commit.

use clap::Args;
use trefoil_repo::reset::{plan_reset, reset};

use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `reset`.
#[derive(Args, Debug)]
pub struct ResetArgs {
    /// Ref to change, then the commit to point it at
    #[arg(value_name = "REF COMMIT")]
    arguments: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `reset`.
pub fn run(args: ResetArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let [name, target, ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("A REF and COMMIT argument is required"));
    };
    if args.dry_run {
        let (refspec, commit) = plan_reset(&repo, name, target)?;
        return cx.ui.line(format_args!("{refspec} would point to {commit}"));
    }
    reset(&repo, name, target)?;
    cx.refs_changed(&repo)
}
