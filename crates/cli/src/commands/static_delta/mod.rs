//! `static-delta`: differences between commits as files, one file a verb.

mod apply_offline;
mod delete;
mod generate;
mod indexes;
mod list;
mod reindex;
mod show;
mod verify;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use trefoil_fsat::Dir;

use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `static-delta`.
#[derive(Args, Debug)]
pub struct StaticDeltaArgs {
    #[command(subcommand)]
    verb: Option<StaticDeltaVerb>,
}

#[derive(Subcommand, Debug)]
enum StaticDeltaVerb {
    /// List static delta files
    List(list::ListArgs),
    /// Dump information on a delta
    Show(show::ShowArgs),
    /// Remove a delta
    Delete(delete::DeleteArgs),
    /// Generate static delta files
    Generate(generate::GenerateArgs),
    /// Apply static delta file
    ApplyOffline(apply_offline::ApplyOfflineArgs),
    /// Verify static delta signatures
    Verify(verify::VerifyArgs),
    /// List static delta indexes
    Indexes(indexes::IndexesArgs),
    /// Regenerate static delta indexes
    Reindex(reindex::ReindexArgs),
}

/// The keys to check signatures with.
#[derive(Args, Debug)]
struct KeyArgs {
    /// Signature type to use (defaults to 'ed25519')
    #[arg(long, value_name = "NAME")]
    sign_type: Option<String>,
    /// Read key(s) from file
    #[arg(long, value_name = "NAME")]
    keys_file: Option<PathBuf>,
    /// Redefine system-wide directories with public and revoked keys for verification
    #[arg(long, value_name = "NAME")]
    keys_dir: Option<PathBuf>,
}

/// Runs `static-delta`.
pub fn run(args: StaticDeltaArgs, cx: &Context) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No command specified")),
        Some(StaticDeltaVerb::List(args)) => list::run(args, cx),
        Some(StaticDeltaVerb::Show(args)) => show::run(args, cx),
        Some(StaticDeltaVerb::Delete(args)) => delete::run(args, cx),
        Some(StaticDeltaVerb::Generate(args)) => generate::run(args, cx),
        Some(StaticDeltaVerb::ApplyOffline(args)) => apply_offline::run(args, cx),
        Some(StaticDeltaVerb::Verify(args)) => verify::run(args, cx),
        Some(StaticDeltaVerb::Indexes(args)) => indexes::run(args, cx),
        Some(StaticDeltaVerb::Reindex(args)) => reindex::run(args, cx),
    }
}

/// The directory a file lies in, and its name.
fn split_file(cx: &Context, path: &Path) -> Result<(Dir, String)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = path.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| CliError::failed(format!("{} is no file", path.display())))?;
    Ok((cx.fs.open_dir(parent.unwrap_or(Path::new(".")))?, name.to_string()))
}
