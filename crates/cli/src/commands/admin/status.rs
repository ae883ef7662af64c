//! `admin status`: the list of deployments.

use clap::Args;
use trefoil_format::name::{Refspec, RemoteName};
use trefoil_repo::remote::find_remote;
use trefoil_sysroot::Sysroot;
use trefoil_sysroot::status::DeploymentStatus;

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Print the commit verification status
    #[arg(short = 'V', long)]
    verify: bool,
    /// Emit JSON
    #[arg(short = 'J', long)]
    json: bool,
    /// Skip signatures in output
    #[arg(short = 'S', long)]
    skip_signatures: bool,
    /// Output "default" if booted into the default deployment, otherwise "not-default"
    #[arg(short = 'D', long)]
    is_default: bool,
}

/// Runs `admin status`.
pub fn run(args: StatusArgs, target: &Target<'_>) -> Result<()> {
    let ui = &target.cx.ui;
    let sysroot = target.open()?;
    let status = sysroot.status()?;
    target.warn_of_failure(&sysroot)?;
    if args.json {
        return ui.json(&status);
    }
    match (status.deployments.first(), args.is_default) {
        (None, true) => Err(CliError::failed("Not in a booted OSTree system")),
        (Some(first), true) => ui.line(if first.booted { "default" } else { "not-default" }),
        (None, false) => ui.line("No deployments."),
        (Some(_), false) => status.deployments.iter().try_for_each(|deployment| {
            ui.text(text(deployment))?;
            signatures(&args, &sysroot, deployment, target)
        }),
    }
}

/// One deployment in the words of `ostree`.
fn text(deployment: &DeploymentStatus) -> String {
    let DeploymentStatus { stateroot, checksum, serial, .. } = deployment;
    let state = match deployment {
        DeploymentStatus { finalization_locked: true, .. } => " (finalization locked)",
        DeploymentStatus { staged: true, .. } => " (staged)",
        DeploymentStatus { pending: true, .. } => " (pending)",
        DeploymentStatus { rollback: true, .. } => " (rollback)",
        _ => "",
    };
    let soft = if deployment.soft_reboot_target { " (soft-reboot)" } else { "" };
    let mark = if deployment.booted { '*' } else { ' ' };
    let mut out = format!("{mark} {stateroot} {checksum}.{serial}{state}{soft}\n");
    if let Some(version) = &deployment.version {
        out.push_str(&format!("    Version: {version}\n"));
    }
    if deployment.unlocked != "none" {
        out.push_str(&format!("    Unlocked: {}\n", deployment.unlocked));
    }
    if deployment.pinned {
        out.push_str("    Pinned: yes\n");
    }
    out.push_str(&match (&deployment.refspec, deployment.has_origin) {
        (_, false) => "    origin: none\n".to_string(),
        (None, true) => "    origin: <unknown origin type>\n".to_string(),
        (Some(refspec), true) => format!("    origin refspec: {refspec}\n"),
    });
    if let (Some(title), true) = (&deployment.source_title, deployment.has_origin) {
        out.push_str(&format!("    `- {title}\n"));
    }
    out
}

/// `ostree` also prints the signatures of commits from a remote that has them verified. Where
/// there are some to verify we say that we do not.
fn signatures(
    args: &StatusArgs,
    sysroot: &Sysroot,
    deployment: &DeploymentStatus,
    target: &Target<'_>,
) -> Result<()> {
    let commit = deployment.checksum.parse()?;
    let remote = origin_remote(deployment)?;
    if args.verify {
        return Err(match (&deployment.refspec, &remote) {
            _ if sysroot.repo().load_commit(&commit).is_err() => {
                CliError::failed("Cannot verify, failed to load commit")
            }
            (None, _) => CliError::failed("No origin/refspec, cannot verify"),
            (_, None) => CliError::failed("Cannot verify deployment without remote"),
            (_, Some(_)) => CliError::not_yet("verifying signatures"),
        });
    }
    let Some(remote) = remote.filter(|_| !args.skip_signatures) else { return Ok(()) };
    let verified = find_remote(sysroot.repo(), None, remote.as_str())
        .is_ok_and(|remote| remote.flag("gpg-verify").unwrap_or(true));
    if !verified {
        return Ok(());
    }
    let detached = sysroot.repo().load_detached(&commit)?;
    if detached.is_some_and(|metadata| metadata.get("ostree.gpgsigs").is_some()) {
        let text = "    (signed; verifying signatures is not implemented yet)";
        target.cx.ui.words(text)?;
    }
    Ok(())
}

fn origin_remote(deployment: &DeploymentStatus) -> Result<Option<RemoteName>> {
    match &deployment.refspec {
        Some(refspec) => Ok(Refspec::parse(refspec)?.remote),
        None => Ok(None),
    }
}
