//! `admin set-origin`: what a deployment shall follow from now on.

use clap::Args;
use trefoil_format::name::Refspec;
use trefoil_repo::remote::{IfExists, NewRemote, add_remote};
use trefoil_sysroot::{Deployment, origin};

use super::target::Target;
use crate::commands::remote::Place;
use crate::error::{CliError, Result};

/// Arguments of `admin set-origin`.
#[derive(Args, Debug)]
pub struct SetOriginArgs {
    /// Name and address of the remote, made if it is not there yet, and the branch to follow
    #[arg(value_name = "REMOTENAME URL [BRANCH]")]
    arguments: Vec<String>,
    /// Set config option KEY=VALUE for remote
    #[arg(short, long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Operate on the deployment INDEX, starting from zero
    #[arg(long, value_name = "INDEX", default_value_t = -1)]
    index: i64,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin set-origin`.
pub fn run(args: SetOriginArgs, target: &Target<'_>) -> Result<()> {
    let (remote, url, branch) = match args.arguments.as_slice() {
        [remote, url] => (remote, url, None),
        [remote, url, branch] => (remote, url, Some(branch)),
        [] | [_] => return Err(CliError::usage("REMOTENAME and URL must be specified")),
        _ => return Err(CliError::usage("Too many arguments given")),
    };
    let mut options = Vec::new();
    for text in &args.set {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            CliError::failed(format!("Missing '=' in KEY=VALUE for --set: '{text}'"))
        })?;
        options.push((key.to_string(), value.to_string()));
    }
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let deployment = match usize::try_from(args.index) {
        Ok(index) => sysroot.deployment(index)?,
        Err(_) => sysroot
            .booted()
            .ok_or_else(|| CliError::failed("Not currently booted into an OSTree system"))?,
    };
    let (index, branch) = (deployment.index, new_branch(deployment, branch)?);
    let Some(lock) = lock else {
        return target.cx.ui.line(format_args!("would set: {index} {remote}:{branch} from {url}"));
    };
    let mut place = Place::open(target.cx, Some(target.path()))?;
    place.for_writing(target.cx)?;
    let new = NewRemote { url: Some(url.clone()), branches: Vec::new(), options };
    add_remote(&mut place.repo, place.remotes_d.as_ref(), remote, &new, IfExists::Keep)?;
    let origin = origin::from_refspec(&format!("{remote}:{branch}"));
    Ok(sysroot.write_origin(&lock, index, &origin)?)
}

/// The branch asked for, else the one the deployment follows already.
fn new_branch(deployment: &Deployment, asked: Option<&String>) -> Result<String> {
    match (asked, deployment.refspec()) {
        (Some(branch), _) => Ok(branch.clone()),
        (None, Some(refspec)) => Ok(Refspec::parse(&refspec)?.name.to_string()),
        (None, None) => Err(CliError::failed("No host refspec found, branch is required")),
    }
}
