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
use trefoil_repo::Repo;
use trefoil_repo::delta::DeltaName;
use trefoil_repo::verify::key_verifier;
use trefoil_sign::{SignType, Verifier};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::keys;

/// Largest superblock that is read, in bytes; the library's limit for those it applies.
const SUPERBLOCK_LIMIT: u64 = 2 << 30;

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

impl KeyArgs {
    /// Whether keys were named, so that something has to be verified with them.
    fn named(&self, texts: &[String]) -> bool {
        !texts.is_empty() || self.keys_file.is_some() || self.keys_dir.is_some()
    }

    /// The keys in `texts` and in the file; where there are neither, those of the directory or
    /// of the system.
    fn verifier(&self, cx: &Context, ty: SignType, texts: &[String]) -> Result<Verifier> {
        keys::check_allowed(ty)?;
        let mut verifier = match (texts, &self.keys_file) {
            ([_, ..], None) => Verifier::new(ty),
            (_, file) => {
                let dirs = match &self.keys_dir {
                    Some(dir) => vec![dir.clone()],
                    None => keys::sources(None).key_dirs,
                };
                key_verifier(&cx.fs, ty, file.as_deref(), &dirs)?
            }
        };
        for text in texts {
            verifier.trust_text(text)?;
        }
        Ok(verifier)
    }
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

/// The bytes of the superblock of `delta`: its name as `list` prints it, or the path of a file.
/// The directory is the one its parts lie in.
fn read_named(cx: &Context, repo: &Repo, delta: &str) -> Result<(Dir, Vec<u8>)> {
    let (dir, file) = if delta.contains('/') {
        split_file(cx, Path::new(delta))?
    } else {
        let name: DeltaName = delta.parse()?;
        (repo.dir().open_dir(name.dir())?, "superblock".to_string())
    };
    let bytes = dir.read(file, SUPERBLOCK_LIMIT)?;
    Ok((dir, bytes))
}
