//! `image status`: what an image holds.

use std::path::PathBuf;

use clap::Args;
use trefoil_image::{ImageStatus, status};
use trefoil_sysroot::spare::SpareState;

use super::{existing, surroundings};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::size;

/// Arguments of `image status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `image status`.
pub fn run(args: StatusArgs, cx: &Context) -> Result<()> {
    let image = args.image.ok_or_else(|| CliError::usage("IMAGE must be specified"))?;
    let status = status(&surroundings(cx), &existing(cx, &image)?)?;
    if args.json { cx.ui.json(&status) } else { cx.ui.text(text(&status)) }
}

fn text(status: &ImageStatus) -> String {
    let mut out = format!(
        "{}: {}, {} on disk; root {}, {} free\n",
        status.path,
        status.format.word(),
        size::words(status.allocated),
        status.filesystem,
        size::words(status.free)
    );
    for (at, deployment) in status.deployments.iter().enumerate() {
        let mark = if at == 0 { '*' } else { ' ' };
        let name = format!("{}.{}", deployment.checksum, deployment.serial);
        out.push_str(&format!("{mark} {} {name}\n", deployment.stateroot));
        if let Some(version) = &deployment.version {
            out.push_str(&format!("    Version: {version}\n"));
        }
        if let Some(refspec) = &deployment.refspec {
            out.push_str(&format!("    origin refspec: {refspec}\n"));
        }
    }
    if let Some(commit) = status.spare.as_ref().filter(|s| s.state == SpareState::Sealed) {
        let commit = commit.commit.as_deref().unwrap_or("unknown");
        out.push_str(&format!("  spare of {commit}\n"));
    }
    if let Some(snapshot) = &status.snapshot {
        out.push_str(&format!("  snapshot {snapshot}\n"));
    }
    out
}
