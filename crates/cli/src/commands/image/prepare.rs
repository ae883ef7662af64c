//! `image prepare`: the spare of the next update, in time that nobody waits for.

use std::path::PathBuf;

use clap::Args;
use trefoil_image::{plan_spare, prepare_spare};

use super::{existing, surroundings};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `image prepare`.
#[derive(Args, Debug)]
pub struct PrepareArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// Use a different operating system root than that of the default deployment
    #[arg(long, value_name = "OSNAME", alias = "stateroot")]
    os: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `image prepare`.
pub fn run(args: PrepareArgs, cx: &Context) -> Result<()> {
    let image = args.image.ok_or_else(|| CliError::usage("IMAGE must be specified"))?;
    let place = existing(cx, &image)?;
    if args.dry_run {
        let text = match plan_spare(&surroundings(cx), &place, args.os.as_deref())? {
            Some(commit) => format!("would make a spare of commit {commit}"),
            None => "the spare is ready already".to_string(),
        };
        return cx.ui.line(format_args!("{}: {text}", place.path().display()));
    }
    let progress = cx.progress("spare");
    let (made, _) = prepare_spare(&surroundings(cx), &place, args.os.as_deref())?;
    drop(progress);
    let text = if made { "spare made" } else { "the spare is ready already" };
    cx.ui.line(format_args!("{}: {text}", place.path().display()))
}
