//! `admin`: the verbs of a sysroot, one file each.

mod available;
mod boot_complete;
mod cleanup;
mod config_diff;
mod deploy;
pub mod engine;
mod finalize_staged;
mod finalizer;
pub mod follow;
mod init_fs;
mod instutil;
mod kargs;
mod lock_finalization;
mod pin;
mod post_copy;
mod programs;
mod rollback;
mod set_default;
mod set_origin;
mod spare;
mod stateroot_init;
mod status;
mod switch;
mod target;
pub mod thaw_watchdog;
pub mod timings;
mod undeploy;
mod unlock;
mod upgrade;
mod upgrader;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::commands::not_yet::{self, NotYetArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use target::Target;

/// Arguments of `admin`.
#[derive(Args, Debug)]
pub struct AdminArgs {
    #[command(flatten)]
    sysroot: SysrootArgs,
    #[command(subcommand)]
    verb: Option<AdminVerb>,
}

/// Options of all verbs of `admin`.
#[derive(Args, Clone, Debug, Default)]
pub struct SysrootArgs {
    /// Use the sysroot at PATH (default: OSTREE_SYSROOT or /)
    #[arg(long, value_name = "PATH", global = true)]
    sysroot: Option<PathBuf>,
    /// Print current deployment directory and exit
    #[arg(long, global = true)]
    print_current_dir: bool,
}

/// The verbs of `admin`. Those that are only there to say that they are missing are hidden.
#[derive(Subcommand, Debug)]
pub enum AdminVerb {
    /// Delete untagged deployments and repository objects
    Cleanup(cleanup::CleanupArgs),
    /// Diff current /etc configuration versus default
    ConfigDiff(config_diff::ConfigDiffArgs),
    /// Checkout revision REFSPEC as the new default deployment
    Deploy(deploy::DeployArgs),
    /// Initialize a root filesystem
    InitFs(init_fs::InitFsArgs),
    /// Deprecated commands intended for installer programs
    #[command(hide = true)]
    Instutil(instutil::InstutilArgs),
    /// Change kernel arguments
    Kargs(kargs::KargsArgs),
    /// Initialize empty state for given operating system
    OsInit(stateroot_init::StaterootInitArgs),
    /// Initialize empty state for given operating system
    StaterootInit(stateroot_init::StaterootInitArgs),
    /// Change the "pinning" state of a deployment, INDEX can be >= 0 or one of booted, pending or rollback strings
    Pin(pin::PinArgs),
    /// Make the rollback deployment the default
    Rollback(rollback::RollbackArgs),
    /// Make deployment INDEX the default
    SetDefault(set_default::SetDefaultArgs),
    /// Set Origin and create a new origin file
    SetOrigin(set_origin::SetOriginArgs),
    /// Look after the spare, the tree that becomes the next deployment
    Spare(spare::SpareArgs),
    /// List deployments
    Status(status::StatusArgs),
    /// Construct new tree from REFSPEC and deploy it
    Switch(switch::SwitchArgs),
    /// Delete deployment INDEX
    Undeploy(undeploy::UndeployArgs),
    /// Construct new tree from current origin and deploy it, if it changed
    Upgrade(upgrade::UpgradeArgs),

    /// Internal command to run at boot after an update was applied
    #[command(hide = true)]
    BootComplete(boot_complete::BootCompleteArgs),
    /// Internal command to run at shutdown time
    #[command(hide = true)]
    FinalizeStaged(finalize_staged::FinalizeStagedArgs),
    /// Change the finalization locking state of the staged deployment
    LockFinalization(lock_finalization::LockFinalizationArgs),
    /// Update the repo and deployments as needed after a copy
    PostCopy(post_copy::PostCopyArgs),
    /// Prepare deployment for soft-reboot
    #[command(hide = true)]
    PrepareSoftReboot(NotYetArgs),
    /// Internal command to assemble a state overlay
    #[command(hide = true)]
    StateOverlay(NotYetArgs),
    /// Internal command that thaws /boot where the process that froze it cannot
    #[command(hide = true)]
    ThawWatchdog(thaw_watchdog::ThawWatchdogArgs),
    /// Make the current deployment mutable (as a hotfix or development)
    Unlock(unlock::UnlockArgs),
}

/// Runs `admin`.
pub fn run(args: AdminArgs, cx: &Context) -> Result<()> {
    let target = Target::new(cx, args.sysroot.sysroot);
    if args.sysroot.print_current_dir {
        return target.print_current_dir();
    }
    match args.verb {
        None => Err(CliError::usage("No \"admin\" subcommand specified")),
        Some(verb) => verb.run(&target),
    }
}

impl AdminVerb {
    fn run(self, target: &Target<'_>) -> Result<()> {
        match self {
            AdminVerb::Cleanup(args) => cleanup::run(args, target),
            AdminVerb::ConfigDiff(args) => config_diff::run(args, target),
            AdminVerb::Deploy(args) => deploy::run(args, target),
            AdminVerb::InitFs(args) => init_fs::run(args, target),
            AdminVerb::Instutil(args) => instutil::run(args, target),
            AdminVerb::Kargs(args) => kargs::run(args, target),
            AdminVerb::OsInit(args) | AdminVerb::StaterootInit(args) => {
                stateroot_init::run(args, target)
            }
            AdminVerb::Pin(args) => pin::run(args, target),
            AdminVerb::Rollback(args) => rollback::run(args, target),
            AdminVerb::SetDefault(args) => set_default::run(args, target),
            AdminVerb::SetOrigin(args) => set_origin::run(args, target),
            AdminVerb::Spare(args) => spare::run(args, target),
            AdminVerb::Status(args) => status::run(args, target),
            AdminVerb::Switch(args) => switch::run(args, target),
            AdminVerb::Undeploy(args) => undeploy::run(args, target),
            AdminVerb::Upgrade(args) => upgrade::run(args, target),
            AdminVerb::BootComplete(args) => boot_complete::run(args, target),
            AdminVerb::FinalizeStaged(args) => finalize_staged::run(args, target),
            AdminVerb::LockFinalization(args) => lock_finalization::run(args, target),
            AdminVerb::PostCopy(args) => post_copy::run(args, target),
            AdminVerb::PrepareSoftReboot(_) => not_yet::run("admin prepare-soft-reboot"),
            AdminVerb::StateOverlay(_) => not_yet::run("admin state-overlay"),
            AdminVerb::ThawWatchdog(args) => thaw_watchdog::run(args, target),
            AdminVerb::Unlock(args) => unlock::run(args, target),
        }
    }
}
