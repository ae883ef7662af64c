//! `admin pin`: keeps deployments whatever is deployed after them.

use clap::Args;
use trefoil_sysroot::{Deployment, Sysroot};

use super::target::{Target, parse_index};
use crate::error::{CliError, Result};

/// Arguments of `admin pin`.
#[derive(Args, Debug)]
pub struct PinArgs {
    /// Positions in the list of `admin status`, or booted, pending, rollback
    #[arg(value_name = "INDEX")]
    arguments: Vec<String>,
    /// Unset pin
    #[arg(short, long)]
    unpin: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin pin`.
pub fn run(args: PinArgs, target: &Target<'_>) -> Result<()> {
    if args.arguments.is_empty() {
        return Err(CliError::usage("INDEX must be specified"));
    }
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let word = if args.unpin { "unpinned" } else { "pinned" };
    for text in &args.arguments {
        let index = find(&sysroot, text)?;
        let (changes, adverb) = match &lock {
            Some(lock) => (sysroot.set_pinned(lock, index, !args.unpin)?, "is now"),
            None => (sysroot.would_set_pinned(index, !args.unpin)?, "would be"),
        };
        let adverb = if changes { adverb } else { "is already" };
        target.cx.ui.line(format_args!("Deployment {index} {adverb} {word}"))?;
    }
    Ok(())
}

fn find(sysroot: &Sysroot, text: &str) -> Result<usize> {
    let marks = sysroot.booted().map(|booted| sysroot.pending_and_rollback(&booted.stateroot));
    let (pending, rollback) = marks.unwrap_or((None, None));
    let found: Option<&Deployment> = match text {
        "booted" => sysroot.booted(),
        "pending" => pending,
        "rollback" => rollback,
        _ => return parse_index(text),
    };
    found
        .map(|deployment| deployment.index)
        .ok_or_else(|| CliError::failed(format!("Deployment type not found: {text}")))
}
