//! `trust`: tries to make Trefoil lose something, by power cuts, failing system calls, hostile
//! bytes and neighbours, and writes what it tried to `docs/trust.md`.
//!
//! Each rig is a verb. A verb prints what it does on stderr, fails at the first thing lost with
//! the seed that shows it again, and notes its figures below `target/trust/`, from which
//! `report` makes the page.

#![allow(clippy::disallowed_methods)]

mod figures;
mod power_cut;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Result of a rig: why something was lost, or why it could not be tried.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "Tries to make Trefoil lose something, and counts the tries")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Take the power away at every flush, and with any of the writes after it done
    PowerCut(power_cut::Options),
    /// Write docs/trust.md from the figures of the last runs
    Report(report::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.verb {
        Verb::PowerCut(options) => power_cut::run(&options),
        Verb::Report(options) => report::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trust: {error}");
            ExitCode::FAILURE
        }
    }
}
