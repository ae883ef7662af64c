//! `image update`: an image to a commit, in place.

use std::path::PathBuf;

use clap::Args;
use trefoil_format::name::RemoteName;
use trefoil_image::{
    Place, Surroundings, UpdatePlan, UpdateReport, UpdateRequest, plan_update, update,
};
use trefoil_sysroot::SysrootError;
use trefoil_sysroot::deploy::{DeployReport, KargOptions, TreeMethod};

use super::create::ToldArgs;
use super::{clock, existing, surroundings};
use crate::commands::admin::engine::EngineArgs;
use crate::commands::admin::timings;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::size;

/// Arguments of `image update`.
#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// A ref or checksum in the repository --repo
    #[arg(value_name = "REF")]
    rev: Option<String>,
    /// Use a different operating system root than that of the default deployment
    #[arg(long, value_name = "OSNAME", alias = "stateroot")]
    os: Option<String>,
    /// Add REMOTE to the ref that the deployment follows
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// Set a kernel argument; this overrides any earlier argument with the same name
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Append a kernel argument
    #[arg(long, value_name = "NAME=VALUE")]
    karg_append: Vec<String>,
    /// Delete a kernel argument if it is there
    #[arg(long, value_name = "NAME=VALUE")]
    karg_delete: Vec<String>,
    /// Keep the image as it is now as IMAGE.snapshot
    #[arg(long)]
    snapshot: bool,
    /// Recycle the rollback deployment, for small disks: its boot entry goes first
    #[arg(long)]
    two_buffers: bool,
    /// Print what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    told: ToldArgs,
}

/// Runs `image update`.
pub fn run(args: UpdateArgs, cx: &Context) -> Result<()> {
    let (Some(image), Some(rev)) = (&args.image, &args.rev) else {
        return Err(CliError::usage("IMAGE and REF must be specified"));
    };
    let place = existing(cx, image)?;
    let repo = cx.open_repo()?;
    let request = UpdateRequest {
        source: &repo,
        rev: rev.clone(),
        remote: args.remote.as_deref().map(RemoteName::new).transpose()?,
        os: args.os.clone(),
        kargs: KargOptions {
            replace: args.karg.clone(),
            append: args.karg_append.clone(),
            delete: args.karg_delete.clone(),
            ..KargOptions::default()
        },
        builder: args.engine.builder(),
        two_buffers: args.two_buffers,
        snapshot: args.snapshot,
    };
    let around = surroundings(cx);
    if args.dry_run {
        return dry_run(&args, cx, &around, &place, &request);
    }
    let progress = cx.progress("image");
    let report = update(&around, &place, &request, &clock())?;
    drop(progress);
    tell(&args, cx, &place, &report)
}

fn dry_run(
    args: &UpdateArgs,
    cx: &Context,
    around: &Surroundings,
    place: &Place,
    request: &UpdateRequest<'_>,
) -> Result<()> {
    let plan: UpdatePlan = plan_update(around, place, request)?;
    if args.told.json {
        cx.ui.json(&plan)?;
    } else {
        show_plan(args, cx, place, &plan)?;
    }
    // What cannot be done is no plan, whoever reads it.
    match plan.deploy.and_then(|deploy| deploy.etc) {
        Some(etc) => Ok(etc.check().map_err(SysrootError::from)?),
        None => Ok(()),
    }
}

fn show_plan(args: &UpdateArgs, cx: &Context, place: &Place, plan: &UpdatePlan) -> Result<()> {
    let path = place.path();
    let UpdatePlan { commit, pull, .. } = plan;
    let Some(deploy) = &plan.deploy else {
        return cx.ui.line(format_args!("{} is at {commit} already", path.display()));
    };
    if args.two_buffers {
        for name in &deploy.retired {
            cx.ui.words(format_args!("would be taken off the list to be recycled: {name}"))?;
        }
    }
    cx.ui.line(format_args!("commit: {commit}"))?;
    cx.ui.line(format_args!(
        "pull: {} metadata, {} content objects; {} of content",
        pull.metadata,
        pull.files,
        size::words(pull.bytes)
    ))?;
    if let Some(merge) = &deploy.merge {
        cx.ui.line(format_args!("merge: /etc and kernel arguments of {merge}"))?;
    }
    cx.ui.text(deploy)
}

fn tell(args: &UpdateArgs, cx: &Context, place: &Place, report: &UpdateReport) -> Result<()> {
    let ui = &cx.ui;
    for name in &report.given_up {
        ui.words(format_args!("taken off the list to be recycled: {name}"))?;
    }
    if let Some(snapshot) = &report.snapshot {
        ui.words(format_args!("snapshot {}: {}", snapshot.path, snapshot.method.words()))?;
    }
    if let Some(deploy) = &report.deploy {
        say_merge(cx, deploy)?;
    }
    if args.told.json {
        return ui.json(report);
    }
    let path = place.path();
    match &report.deploy {
        None => ui.line(format_args!("{}: No update available", path.display()))?,
        Some(deploy) => {
            let DeployReport { stateroot, name, method, reason, .. } = deploy;
            ui.line(format_args!("{}: {stateroot}/{name} boots", path.display()))?;
            match method {
                TreeMethod::Full => ui.words(format_args!("full checkout: {reason}"))?,
                TreeMethod::Recycle => ui.words(format_args!("recycled: {reason}"))?,
            }
        }
    }
    let bytes = size::words(report.bytes_written);
    ui.line(format_args!("{} objects pulled; {bytes} written", report.objects_pulled))?;
    if args.told.timings {
        ui.text(timings::table(&report.phases))?;
    }
    Ok(())
}

/// Every path of `/etc` where the merge had to choose.
fn say_merge(cx: &Context, deploy: &DeployReport) -> Result<()> {
    for conflict in &deploy.conflicts {
        cx.ui.words(format_args!("warning: /etc/{conflict}"))?;
    }
    for skipped in &deploy.skipped {
        cx.ui.words(format_args!("warning: /etc/{skipped}"))?;
    }
    Ok(())
}
