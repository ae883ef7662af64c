//! `admin config-diff`: what the administrator changed in `/etc`.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use trefoil_sysroot::etc;

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin config-diff`.
#[derive(Args, Debug)]
pub struct ConfigDiffArgs {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    os: Option<String>,
    /// Print the paths as JSON
    #[arg(long)]
    json: bool,
}

/// Paths below `etc`.
#[derive(Serialize)]
struct View {
    modified: Vec<String>,
    removed: Vec<String>,
    added: Vec<String>,
}

/// Runs `admin config-diff`.
pub fn run(args: ConfigDiffArgs, target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let stateroot = sysroot.stateroot_or_booted(args.os.as_deref())?;
    let deployment = sysroot
        .merge_deployment(&stateroot)
        .ok_or_else(|| CliError::failed(format!("No deployment for OS '{stateroot}'")))?;
    let dir = sysroot.dir().open_dir(deployment.path())?;
    let (defaults, local) = (dir.open_dir("usr/etc")?, dir.open_dir("etc")?);
    let changes = etc::diff(&defaults, &local, None)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let view = View {
        modified: changes.modified.iter().map(|node| text(&node.path)).collect(),
        removed: changes.removed.iter().map(|path| text(path)).collect(),
        added: changes.added.iter().map(|node| text(&node.path)).collect(),
    };
    let ui = &target.cx.ui;
    if args.json {
        return ui.json(&view);
    }
    for (mark, paths) in [('M', view.modified), ('D', view.removed), ('A', view.added)] {
        paths.iter().try_for_each(|path| ui.line(format_args!("{mark}    {path}")))?;
    }
    Ok(())
}
