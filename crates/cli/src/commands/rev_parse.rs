//! `rev-parse`: the checksum a rev stands for.

use clap::Args;

use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `rev-parse`.
#[derive(Args, Debug)]
pub struct RevParseArgs {
    /// Commit or ref
    #[arg(value_name = "REV")]
    revs: Vec<String>,
    /// If the repository has exactly one commit, then print it; any other case will result in an error
    #[arg(short = 'S', long)]
    single: bool,
    /// Print the checksums as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `rev-parse`.
pub fn run(args: RevParseArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let mut found = Vec::new();
    if args.single {
        if !args.revs.is_empty() {
            return Err(CliError::usage("Cannot specify arguments with --single"));
        }
        match repo.list_commits()?.as_slice() {
            [] => return Err(CliError::failed("No commit objects found")),
            [only] => found.push(only.to_hex()),
            _ => return Err(CliError::failed("Multiple commit objects found")),
        }
    } else if args.revs.is_empty() {
        return Err(CliError::usage("REV must be specified"));
    }
    for rev in &args.revs {
        found.push(repo.resolve_rev(rev)?.to_hex());
    }
    if args.json {
        return cx.ui.json(&found);
    }
    found.iter().try_for_each(|checksum| cx.ui.line(checksum))
}
