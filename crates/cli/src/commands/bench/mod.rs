//! `bench`: Trefoil and the installed `ostree` on the same work, in turns.

mod cells;
mod commit;
mod delta;
mod disk;
mod ground;
mod image;
mod measure;
mod pull;
mod report;
mod rows;
mod scale;
mod tree;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::demo::parse_size;
use super::lab::peer::Peer;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    verb: Option<BenchVerb>,
}

#[derive(Subcommand, Debug)]
enum BenchVerb {
    /// Full commit, full deploy, and deploys of small changes
    Deploy(DeployBenchArgs),
    /// Full commits, and commits of a tree in which a few files changed
    Commit(commit::CommitBenchArgs),
    /// Pulls of everything and of small changes, from a directory and over HTTP
    Pull(pull::PullBenchArgs),
    /// Memory and system calls of commits in trees of growing size; without ostree
    Scale(scale::ScaleBenchArgs),
    /// Static deltas for a few changed files, made and applied
    Delta(delta::DeltaBenchArgs),
    /// Updates of a disk image in place
    Image(image::ImageBenchArgs),
}

/// Arguments of `bench deploy`.
#[derive(Args, Debug)]
pub struct DeployBenchArgs {
    #[command(flatten)]
    recipe: tree::Recipe,
    /// How many files change from version to version
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0,10,1000,10000")]
    changed: Vec<usize>,
    /// Measured deploys for each cell of the table
    #[arg(long, value_name = "K", default_value_t = 5)]
    rounds: usize,
    /// Where everything is made
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Work on an ext4 image of this size, mounted by a loop device (needs root)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    image: Option<u64>,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `bench`.
pub fn run(args: BenchArgs, cx: &Context) -> Result<()> {
    let Some(verb) = args.verb else {
        return Err(CliError::usage("No \"bench\" subcommand specified"));
    };
    match verb {
        BenchVerb::Deploy(args) => {
            if args.rounds == 0 {
                return Err(CliError::failed("--rounds needs at least 1"));
            }
            let results = cells::run(&args, cx, peer()?)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(report::markdown(&results)),
            }
        }
        BenchVerb::Delta(args) => {
            if args.rounds == 0 {
                return Err(CliError::failed("--rounds needs at least 1"));
            }
            let results = delta::measure_deltas(&args, cx, peer()?)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(results.markdown()),
            }
        }
        BenchVerb::Image(args) => {
            if args.rounds == 0 {
                return Err(CliError::failed("--rounds needs at least 1"));
            }
            let results = image::measure_images(&args, cx, &peer()?)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(results.markdown(args.changed)),
            }
        }
        BenchVerb::Commit(args) => {
            let results = commit::measure_commits(&args, cx, peer()?)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(results.markdown(args.changed)),
            }
        }
        BenchVerb::Scale(args) => {
            let results = scale::measure_scale(&args, cx)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(results.markdown()),
            }
        }
        BenchVerb::Pull(args) => {
            if args.rounds == 0 {
                return Err(CliError::failed("--rounds needs at least 1"));
            }
            let results = pull::measure_pulls(&args, cx, peer()?)?;
            match args.json {
                true => cx.ui.json(&results),
                false => cx.ui.text(results.markdown()),
            }
        }
    }
}

/// The `ostree` beside us.
fn peer() -> Result<Peer> {
    Peer::find().ok_or_else(|| {
        CliError::Advised(
            "bench compares with ostree, which is not installed".into(),
            "on Debian: apt-get install ostree",
        )
    })
}
