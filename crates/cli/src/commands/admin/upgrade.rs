//! `admin upgrade`: pulls what the origin follows, and deploys it.

use clap::Args;
use trefoil_sysroot::{CleanupOptions, Sysroot, origin};

use super::available;
use super::engine::{Engine, EngineArgs, ReportArgs};
use super::follow::{self, FollowArgs};
use super::target::Target;
use super::upgrader::{Upgrader, reboot};
use crate::environment;
use crate::error::{CliError, Result};

/// Arguments of `admin upgrade`.
#[derive(Args, Debug)]
pub struct UpgradeArgs {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    pub os: Option<String>,
    /// Reboot after a successful upgrade
    #[arg(short, long)]
    reboot: bool,
    /// Only say whether there is an upgrade, and which; change nothing
    #[arg(long, visible_alias = "dry-run")]
    check: bool,
    /// Permit deployment of chronologically older trees
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Deploy CHECKSUM instead of the latest tree
    #[arg(long, value_name = "CHECKSUM")]
    override_commit: Option<String>,
    /// Do not create a deployment, just download
    #[arg(long)]
    pull_only: bool,
    /// Do not pull, only deploy
    #[arg(long)]
    deploy_only: bool,
    /// Enable staged updates, completed at OS shutdown
    #[arg(long)]
    stage: bool,
    #[arg(short, long, hide = true)]
    kexec: bool,
    #[command(flatten)]
    pub follow: FollowArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Runs `admin upgrade`.
pub fn run(args: UpgradeArgs, target: &Target<'_>) -> Result<()> {
    check(&args)?;
    if args.check {
        return only_check(&args, target);
    }
    if args.follow.is_wanted() {
        return follow::run(&args, target);
    }
    let (mut sysroot, lock) = target.open_locked()?;
    let stage = args.stages(&sysroot)?;
    let mut upgrader = Upgrader::new(target, &sysroot, args.os.as_deref())?;
    upgrader.check_configured()?;
    origin::remove_transient_state(&mut upgrader.origin);
    if let Some(commit) = &args.override_commit {
        upgrader.origin.set_string("origin", "override-commit", commit)?;
    }
    let pulled = upgrader.pull(args.deploy_only, args.allow_downgrade);
    if pulled.is_err() && args.pull_only {
        // Half pulled commits of earlier attempts go; the error of the pull is what counts.
        let options = CleanupOptions { prune: true };
        let _ = sysroot.cleanup(&lock, &args.engine.builder(), options);
    }
    let commit = pulled?;
    if commit == upgrader.merge.checksum {
        return target.cx.ui.line("No update available.");
    }
    if !args.pull_only {
        let engine = Engine { target, engine: args.engine, report: args.report };
        let mut options = upgrader.deploy_options(&commit);
        options.stage = stage;
        engine.deploy(&mut sysroot, &lock, &options)?;
    }
    if args.reboot { reboot(&sysroot) } else { Ok(()) }
}

/// Needs no lock, and no right to write.
fn only_check(args: &UpgradeArgs, target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let mut upgrader = Upgrader::new(target, &sysroot, args.os.as_deref())?;
    upgrader.check_configured()?;
    origin::remove_transient_state(&mut upgrader.origin);
    if let Some(commit) = &args.override_commit {
        upgrader.origin.set_string("origin", "override-commit", commit)?;
    }
    available::report(target, &upgrader, args.allow_downgrade, args.report.json)
}

impl UpgradeArgs {
    /// Whether the deploy is finished at shutdown only.
    ///
    /// # Errors
    /// That is wanted and cannot be, which is to be known before anything is pulled for it.
    pub fn stages(&self, sysroot: &Sysroot) -> Result<bool> {
        let stage = self.stage || environment::text("OSTREE_EX_STAGE_DEPLOYMENTS").is_some();
        if stage && sysroot.booted().is_none() {
            let text = "Cannot stage deployment: Not currently booted into an OSTree system";
            return Err(CliError::failed(text));
        }
        Ok(stage)
    }
}

fn check(args: &UpgradeArgs) -> Result<()> {
    if args.kexec {
        return Err(CliError::not_yet("'admin upgrade --kexec'"));
    }
    let doing =
        args.pull_only || args.deploy_only || args.reboot || args.stage || args.follow.is_wanted();
    if args.check && doing {
        let text = "Cannot simultaneously specify --check and --pull-only, --deploy-only, \
                    --reboot, --stage or --follow";
        return Err(CliError::failed(text));
    }
    if args.pull_only && args.deploy_only {
        let text = "Cannot simultaneously specify --pull-only and --deploy-only";
        return Err(CliError::failed(text));
    }
    if args.follow.is_wanted() {
        let other = [args.reboot, args.pull_only, args.deploy_only, args.override_commit.is_some()];
        if other.contains(&true) {
            return Err(CliError::Advised(
                "--follow pulls and deploys whatever the ref is at: it does not go with --reboot, \
                 --pull-only, --deploy-only or --override-commit"
                    .to_string(),
                "'--apply=reboot' reboots after each deploy",
            ));
        }
    }
    if args.pull_only && args.reboot {
        let text = "Cannot simultaneously specify --pull-only and --reboot or --kexec";
        return Err(CliError::failed(text));
    }
    Ok(())
}
