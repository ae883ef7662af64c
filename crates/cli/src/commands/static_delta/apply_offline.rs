//! `static-delta apply-offline`.

use std::path::Path;

use clap::Args;
use trefoil_fsat::Dir;
use trefoil_repo::delta::{DeltaKeys, DeltaPlan, Limits, apply_offline, plan_offline};
use trefoil_sign::Verifier;

use super::KeyArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{keys, size};

/// Arguments of `static-delta apply-offline`.
#[derive(Args, Debug)]
pub struct ApplyOfflineArgs {
    /// The file of the superblock, or a directory with a file `superblock`; then public keys
    #[arg(value_name = "PATH [KEY-ID...]")]
    arguments: Vec<String>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Only say what would be imported
    #[arg(long)]
    dry_run: bool,
}

/// Runs `static-delta apply-offline`.
pub fn run(args: ApplyOfflineArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let Some((path, texts)) = args.arguments.split_first() else {
        return Err(CliError::failed("PATH must be specified"));
    };
    let verifier = verifier(&args.keys, cx, texts)?;
    let required = args.keys.named(texts);
    let keys = verifier.as_ref().map(|verifier| DeltaKeys { verifier, required });
    let (dir, file) = locate(cx, path.as_ref())?;
    if args.dry_run {
        return print_plan(cx, &plan_offline(&repo, &dir, &file, keys)?);
    }
    let progress = cx.progress("apply delta");
    apply_offline(&repo, &dir, &file, keys, &Limits::default())?;
    drop(progress);
    Ok(())
}

fn print_plan(cx: &Context, plan: &DeltaPlan) -> Result<()> {
    let to = plan.superblock.name.to;
    match plan.has_commit {
        true => cx.ui.line(format_args!("commit {to} is here already"))?,
        false => cx.ui.line(format_args!("commit {to} would be imported"))?,
    }
    let parts = &plan.superblock.parts;
    let bytes = plan.part_headers().map(|(_, part)| part.usize).fold(0, u64::saturating_add);
    cx.ui.line(format_args!(
        "{} of {} parts would be applied, {} uncompressed; {} more by changing directories",
        plan.parts.len(),
        parts.len(),
        size::words(bytes),
        plan.patched.len()
    ))
}

/// The keys to check with. As in libostree it is no failure that there are none where none were
/// named.
fn verifier(args: &KeyArgs, cx: &Context, texts: &[String]) -> Result<Option<Verifier>> {
    let name = args.sign_type.as_deref();
    let ty = keys::sign_type(name).map_err(|_| {
        let name = name.unwrap_or_default();
        CliError::failed(format!("Signing type {name} is not supported"))
    })?;
    match args.verifier(cx, ty, texts) {
        Err(_) if !args.named(texts) => Ok(None),
        verifier => verifier.map(Some),
    }
}

fn locate(cx: &Context, path: &Path) -> Result<(Dir, String)> {
    if path.is_dir() {
        return Ok((cx.fs.open_dir(path)?, "superblock".to_string()));
    }
    super::split_file(cx, path)
}
