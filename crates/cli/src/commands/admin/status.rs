//! `admin status`: the list of deployments.

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::{Refspec, RemoteName};
use trefoil_format::object::ObjectType;
use trefoil_repo::remote::find_remote;
use trefoil_repo::verify::{KeyringOf, RemoteVerifier, VerifyOverrides};
use trefoil_sign::gpg::SignatureReport;
use trefoil_sysroot::Sysroot;
use trefoil_sysroot::status::DeploymentStatus;

use super::target::Target;
use crate::commands::remote::Place;
use crate::commands::show::signature_reports;
use crate::error::{CliError, Context as _, Result};
use crate::{dates, keys};

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

/// The signatures of commits from a remote that has them verified, and with `--verify` whether
/// they count.
fn signatures(
    args: &StatusArgs,
    sysroot: &Sysroot,
    deployment: &DeploymentStatus,
    target: &Target<'_>,
) -> Result<()> {
    let remote = origin_remote(deployment)?;
    if args.verify {
        return verify(sysroot, deployment, remote, target);
    }
    let Some(name) = remote.filter(|_| !args.skip_signatures) else { return Ok(()) };
    let place = Place::open(target.cx, Some(target.path()))?;
    let remotes_d = place.remotes_d.as_ref();
    let Ok(remote) = find_remote(&place.repo, remotes_d, name.as_str()) else { return Ok(()) };
    if remote.flag("gpg-verify") == Some(false) {
        return Ok(());
    }
    let commit = deployment.checksum.parse()?;
    let of = KeyringOf::Remote(&remote);
    let reports = signature_reports(&place.repo, &commit, &of, &keys::sources(remotes_d))
        .context(format!("Deployment {}", deployment.index))?;
    let reports = reports.unwrap_or_default();
    reports.iter().try_for_each(|report| target.cx.ui.text(gpg_lines(report, "    GPG: ")))
}

fn gpg_lines(report: &SignatureReport, prefix: &str) -> String {
    report.describe(prefix, dates::local_c)
}

/// Fails unless the commit would be accepted from its remote now.
fn verify(
    sysroot: &Sysroot,
    deployment: &DeploymentStatus,
    remote: Option<RemoteName>,
    target: &Target<'_>,
) -> Result<()> {
    let commit: Checksum = deployment.checksum.parse()?;
    let Ok(bytes) = sysroot.repo().load_metadata(ObjectType::Commit, &commit) else {
        return Err(CliError::failed("Cannot verify, failed to load commit"));
    };
    if deployment.refspec.is_none() {
        return Err(CliError::failed("No origin/refspec, cannot verify"));
    }
    let Some(name) = remote else {
        return Err(CliError::failed("Cannot verify deployment without remote"));
    };
    let place = Place::open(target.cx, Some(target.path()))?;
    let remotes_d = place.remotes_d.as_ref();
    let remote = find_remote(&place.repo, remotes_d, name.as_str())?;
    let overrides = VerifyOverrides::default();
    let verifier =
        RemoteVerifier::new(&place.repo, &remote, &keys::sources(remotes_d), &overrides)?;
    if !verifier.wants_commit() {
        return Err(CliError::failed(format!(
            "Cannot verify commit for remote {name}; GPG verification disabled, and no signapi \
             verifiers configured"
        )));
    }
    let detached = sysroot.repo().load_detached(&commit)?;
    let report = verifier.verify_commit(&commit, &bytes, detached.as_ref())?;
    let mut lines: Vec<String> =
        report.gpg.iter().map(|report| gpg_lines(report, "GPG: ")).collect();
    lines.extend(report.sign);
    target.cx.ui.line(lines.join("\n"))
}

fn origin_remote(deployment: &DeploymentStatus) -> Result<Option<RemoteName>> {
    match &deployment.refspec {
        Some(refspec) => Ok(Refspec::parse(refspec)?.remote),
        None => Ok(None),
    }
}
