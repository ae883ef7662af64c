//! `image rollback`: back to the deployment before, or to the snapshot.

use std::path::PathBuf;

use clap::Args;
use trefoil_image::{Place, existing_snapshot, plan_rollback, restore_snapshot, rollback};

use super::{existing, surroundings};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `image rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// Use a different operating system root than that of the default deployment
    #[arg(long, value_name = "OSNAME", alias = "stateroot")]
    os: Option<String>,
    /// Put IMAGE.snapshot in the place of the image, with all that was in it
    #[arg(long)]
    snapshot: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `image rollback`.
pub fn run(args: RollbackArgs, cx: &Context) -> Result<()> {
    let image = args.image.as_deref().ok_or_else(|| CliError::usage("IMAGE must be specified"))?;
    let place = existing(cx, image)?;
    let path = place.path();
    if args.dry_run {
        return dry_run(&args, cx, &place);
    }
    if args.snapshot {
        restore_snapshot(&surroundings(cx), &place)?;
        return cx.ui.words(format_args!("{} is its snapshot again", path.display()));
    }
    let report = rollback(&surroundings(cx), &place, args.os.as_deref())?;
    match args.json {
        true => cx.ui.json(&report),
        false => {
            let (os, name) = (&report.stateroot, &report.deployment);
            cx.ui.line(format_args!("{}: {os}/{name} boots", path.display()))
        }
    }
}

fn dry_run(args: &RollbackArgs, cx: &Context, place: &Place) -> Result<()> {
    if args.snapshot {
        let name = existing_snapshot(place)?;
        let path = place.path();
        return cx.ui.line(format_args!("would put {name} in the place of {}", path.display()));
    }
    let plan = plan_rollback(&surroundings(cx), place, args.os.as_deref())?;
    match args.json {
        true => cx.ui.json(&plan),
        false => cx.ui.text(plan),
    }
}
