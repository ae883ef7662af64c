//! `trust`: tries to make Trefoil lose something, by power cuts, failing system calls, hostile
//! bytes and neighbours, and writes what it tried to `docs/trust.md`.
//!
//! Each rig is a verb. A verb prints what it does on stderr, fails at the first thing lost with
//! the seed that shows it again, and notes its figures below `target/trust/`, from which
//! `report` makes the page.

#![allow(clippy::disallowed_methods)]

mod faults;
mod figures;
mod fuzz;
mod neighbours;
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
    /// Feed bytes that nobody vouches for to everything that parses them
    Fuzz(fuzz::Options),
    /// Fail every mutating call through the file system layer once, in every scenario
    Faults(faults::Options),
    /// Let both programs work on one repository and one sysroot at once
    Neighbours(neighbours::Options),
    /// Take the power away at every flush, and with any of the writes after it done
    PowerCut(power_cut::Options),
    /// Write docs/trust.md from the figures of the last runs
    Report(report::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.verb {
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Faults(options) => faults::run(&options),
        Verb::Neighbours(options) => neighbours::run(&options),
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
