//! `admin spare`: the tree that becomes the next deployment.

use clap::{Args, Subcommand};
use serde::Serialize;
use trefoil_sysroot::Sysroot;
use trefoil_sysroot::spare::{SpareState, SpareStatus, Trust};

use super::engine::TrustWord;
use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin spare`.
#[derive(Args, Debug)]
pub struct SpareArgs {
    #[command(subcommand)]
    verb: Option<SpareVerb>,
}

#[derive(Subcommand, Debug)]
enum SpareVerb {
    /// Tell what there is of a spare
    Status(OneSpare),
    /// Make a spare ahead of the next deploy
    Prepare(ChangeArgs),
    /// Check whether the spare is as it was sealed
    Verify(VerifyArgs),
    /// Throw the spare away
    Drop(ChangeArgs),
}

/// Which spare, and how to tell of it.
#[derive(Args, Debug)]
struct OneSpare {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "STATEROOT", alias = "stateroot")]
    os: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `admin spare prepare` and `admin spare drop`.
#[derive(Args, Debug)]
struct ChangeArgs {
    #[command(flatten)]
    spare: OneSpare,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `admin spare verify`.
#[derive(Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    spare: OneSpare,
    /// Check by metadata (stat, the default), by every byte (full), or not (none)
    #[arg(long, value_name = "stat|full|none", value_enum)]
    trust: Option<TrustWord>,
}

/// The answer of `verify`.
#[derive(Serialize)]
struct Verdict {
    stateroot: String,
    policy: Trust,
    trusted: bool,
    reason: Option<String>,
}

/// The answer of `prepare` and `drop`; of a dry run, what would be.
#[derive(Serialize)]
struct Outcome {
    stateroot: String,
    changed: bool,
}

/// Runs `admin spare`.
pub fn run(args: SpareArgs, target: &Target<'_>) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"spare\" subcommand specified")),
        Some(SpareVerb::Status(args)) => status(args, target),
        Some(SpareVerb::Prepare(args)) => prepare(args, target),
        Some(SpareVerb::Verify(args)) => verify(args, target),
        Some(SpareVerb::Drop(args)) => drop_spare(args, target),
    }
}

impl OneSpare {
    /// The stateroot asked for, else the booted one, else the only one with deployments.
    fn stateroot(&self, sysroot: &Sysroot) -> Result<String> {
        let mut found: Vec<&str> =
            sysroot.deployments().iter().map(|d| d.stateroot.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        match (&self.os, sysroot.booted(), found.as_slice()) {
            (None, None, [only]) => Ok(only.to_string()),
            (os, ..) => Ok(sysroot.stateroot_or_booted(os.as_deref())?),
        }
    }
}

fn status(args: OneSpare, target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let status = sysroot.spare_status(&args.stateroot(&sysroot)?)?;
    if args.json { target.cx.ui.json(&status) } else { target.cx.ui.line(status_text(&status)) }
}

fn status_text(status: &SpareStatus) -> String {
    let stateroot = &status.stateroot;
    match (status.state, &status.commit) {
        (SpareState::Sealed, Some(commit)) => {
            let sealed = match status.sealed_dirs {
                Some(dirs) => format!("{dirs} directories sealed"),
                None => "its seal cannot be read".to_string(),
            };
            format!("{stateroot}: spare of commit {commit}, {sealed}")
        }
        (SpareState::Dirty, _) => {
            format!("{stateroot}: dirty: an interrupted run left the spare half converted")
        }
        _ => format!("{stateroot}: no spare"),
    }
}

fn prepare(args: ChangeArgs, target: &Target<'_>) -> Result<()> {
    let (sysroot, lock) = target.open_unless(args.dry_run)?;
    let stateroot = args.spare.stateroot(&sysroot)?;
    let Some(lock) = lock else {
        let commit = sysroot.plan_spare_prepare(&stateroot)?;
        let text = commit.map(|commit| format!("would make a spare of commit {commit}"));
        let (changes, ready) = (text.is_some(), "the spare is ready already".to_string());
        return tell(args.spare.json, target, stateroot, changes, &text.unwrap_or(ready));
    };
    let progress = target.cx.progress("spare");
    let changed = sysroot.spare_prepare(&lock, &stateroot)?;
    drop(progress);
    let text = if changed { "spare made" } else { "the spare is ready already" };
    tell(args.spare.json, target, stateroot, changed, text)
}

fn drop_spare(args: ChangeArgs, target: &Target<'_>) -> Result<()> {
    let (sysroot, lock) = target.open_unless(args.dry_run)?;
    let stateroot = args.spare.stateroot(&sysroot)?;
    let (changed, text) = match lock {
        Some(lock) => (sysroot.spare_drop(&lock, &stateroot)?, "spare dropped"),
        None => {
            let status = sysroot.spare_status(&stateroot)?;
            (status.state != SpareState::None, "the spare would be dropped")
        }
    };
    let text = if changed { text } else { "there was no spare" };
    tell(args.spare.json, target, stateroot, changed, text)
}

fn tell(
    json: bool,
    target: &Target<'_>,
    stateroot: String,
    changed: bool,
    text: &str,
) -> Result<()> {
    match json {
        true => target.cx.ui.json(&Outcome { stateroot, changed }),
        false => target.cx.ui.line(format_args!("{stateroot}: {text}")),
    }
}

/// Fails where the spare cannot be trusted, after the answer.
fn verify(args: VerifyArgs, target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let stateroot = args.spare.stateroot(&sysroot)?;
    let policy = args.trust.map(Trust::from).unwrap_or_default();
    let reason = sysroot.spare_verify(&stateroot, policy)?;
    let trusted = reason.is_none();
    if args.spare.json {
        let verdict =
            Verdict { stateroot: stateroot.clone(), policy, trusted, reason: reason.clone() };
        target.cx.ui.json(&verdict)?;
    } else if trusted {
        let word = policy.word();
        target.cx.ui.line(format_args!("{stateroot}: the spare is as sealed (checked: {word})"))?;
    }
    match reason {
        None => Ok(()),
        Some(reason) => Err(CliError::Advised(
            format!("the spare of {stateroot} cannot be trusted: {reason}"),
            "the next deploy checks out in full; 'admin spare drop' frees its space now",
        )),
    }
}
