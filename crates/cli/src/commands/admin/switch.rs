//! `admin switch`: follows another ref, and deploys it.

use clap::Args;
use trefoil_format::name::{Refspec, RemoteName};
use trefoil_sysroot::origin;

use super::available;
use super::engine::{Engine, EngineArgs, ReportArgs};
use super::target::Target;
use super::upgrader::{Upgrader, reboot};
use crate::error::{CliError, Result};

/// Arguments of `admin switch`.
#[derive(Args, Debug)]
pub struct SwitchArgs {
    /// The ref to follow; REMOTE: alone changes the remote
    #[arg(value_name = "REFSPEC")]
    arguments: Vec<String>,
    /// Reboot after switching trees
    #[arg(short, long)]
    reboot: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, hide = true)]
    kexec: bool,
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME")]
    os: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs `admin switch`.
pub fn run(args: SwitchArgs, target: &Target<'_>) -> Result<()> {
    let wanted = match args.arguments.as_slice() {
        [] => return Err(CliError::usage("REFSPEC must be specified")),
        [wanted] => wanted,
        _ => return Err(CliError::usage("Too many arguments given")),
    };
    if args.kexec {
        return Err(CliError::not_yet("'admin switch --kexec'"));
    }
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let mut upgrader = Upgrader::new(target, &sysroot, args.os.as_deref())?;
    let old = upgrader.refspec()?;
    let new = new_refspec(&old, wanted)?;
    if new == old {
        return Err(CliError::failed(format!("Old and new refs are equal: {new}")));
    }
    upgrader.origin = origin::from_refspec(&new.to_string());
    let Some(lock) = lock else {
        return available::report(target, &upgrader, true, args.report.json);
    };
    // The other ref need not be younger.
    let commit = upgrader.pull(false, true)?;
    let engine = Engine { target, engine: args.engine, report: args.report };
    engine.deploy(&mut sysroot, &lock, &upgrader.deploy_options(&commit))?;
    target.cx.ui.words(format_args!("Deleting ref '{old}'"))?;
    sysroot.repo().set_ref(&old, None)?;
    if args.reboot { reboot(&sysroot) } else { Ok(()) }
}

/// What `wanted` means where the origin follows `old` so far.
fn new_refspec(old: &Refspec, wanted: &str) -> Result<Refspec> {
    if let Some(remote) = wanted.strip_suffix(':') {
        return Ok(Refspec::of_remote(RemoteName::new(remote)?, old.name.clone()));
    }
    let new = Refspec::parse(wanted)?;
    Ok(Refspec { remote: new.remote.or_else(|| old.remote.clone()), name: new.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the three ways to name the new ref.
    #[test]
    fn a_part_of_a_refspec_is_completed_by_the_old_one() {
        let old = Refspec::parse("origin:os/stable").expect("a refspec");
        for (wanted, expected) in
            [("other:", "other:os/stable"), ("os/next", "origin:os/next"), ("a:b", "a:b")]
        {
            let new = new_refspec(&old, wanted).expect("a refspec");
            assert_eq!(new.to_string(), expected);
        }
    }
}
