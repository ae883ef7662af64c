//! `sign`: signatures other than OpenPGP, put on a commit or verified.

use std::path::PathBuf;

use clap::Args;
use trefoil_format::gvariant::Metadata;
use trefoil_format::object::ObjectType;
use trefoil_repo::verify::key_verifier;
use trefoil_sign::{SecretKey, SignType, Verifier, signatures};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::keys;
use crate::signing::{self, Signers};

/// Arguments of `sign`.
#[derive(Args, Debug)]
pub struct SignArgs {
    /// The commit, then keys: secret ones, or with --verify public ones
    #[arg(value_name = "COMMIT KEY-ID...")]
    arguments: Vec<String>,
    /// Delete signatures having any of the KEY-IDs
    #[arg(short, long)]
    delete: bool,
    /// Verify signatures
    #[arg(long)]
    verify: bool,
    /// Signature type to use (defaults to 'ed25519')
    #[arg(short, long, value_name = "NAME")]
    sign_type: Option<String>,
    /// Read keys from file
    #[arg(long, value_name = "NAME")]
    keys_file: Option<PathBuf>,
    /// Redefine system-wide directories with public and revoked keys for verification
    #[arg(long, value_name = "NAME")]
    keys_dir: Option<PathBuf>,
    /// Only say what would be signed
    #[arg(long)]
    dry_run: bool,
}

/// Runs `sign`.
pub fn run(args: SignArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let [rev, key_texts @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("Need a COMMIT to sign or verify"));
    };
    if !args.verify && args.keys_file.is_none() && key_texts.is_empty() {
        return Err(CliError::usage("Need at least one KEY-ID to sign with"));
    }
    if args.delete {
        // ostree takes the option and signs all the same.
        return Err(CliError::not_yet("'sign --delete'"));
    }
    let commit = repo.resolve_rev(rev)?;
    let ty = keys::sign_type(args.sign_type.as_deref())?;
    let bytes = repo.load_metadata(ObjectType::Commit, &commit).context("Failed to read commit")?;
    let detached = repo.load_detached(&commit).context("Failed to read detached metadata")?;
    if args.verify {
        return verify(&args, cx, ty, key_texts, &bytes, detached.as_ref());
    }
    keys::check_allowed(ty)?;
    let mut secret = Vec::new();
    for text in key_texts {
        secret.push(SecretKey::from_text(ty, text)?);
    }
    if let Some(path) = &args.keys_file {
        secret.extend(signing::secret_keys(cx, ty, path)?);
    }
    let mut metadata = detached.unwrap_or_default();
    let signers = Signers::secret(secret);
    if args.dry_run {
        let count = signers.try_sign(&repo, &bytes, &metadata)?;
        return cx.ui.line(format_args!("{commit} would get {count} {ty} signatures"));
    }
    signers.sign(&repo, &bytes, &mut metadata)?;
    Ok(repo.write_detached(&commit, Some(&metadata))?)
}

/// One good signature is enough, by a key of the line, else of the file or the system.
fn verify(
    args: &SignArgs,
    cx: &Context,
    ty: SignType,
    key_texts: &[String],
    bytes: &[u8],
    detached: Option<&Metadata>,
) -> Result<()> {
    let found = match detached {
        Some(metadata) => signatures(metadata, ty.metadata_key())?,
        None => None,
    };
    for text in key_texts {
        let mut verifier = Verifier::new(ty);
        if keys::check_allowed(ty).is_ok()
            && verifier.trust_text(text).is_ok()
            && let Ok(message) = verifier.verify(bytes, found.as_deref())
        {
            return cx.ui.line(message);
        }
    }
    if !key_texts.is_empty() && args.keys_file.is_none() {
        return Err(CliError::failed("No valid signatures found"));
    }
    keys::check_allowed(ty)?;
    let dirs = match &args.keys_dir {
        Some(dir) => vec![dir.clone()],
        None => keys::sources(None).key_dirs,
    };
    let verifier = key_verifier(&cx.fs, ty, args.keys_file.as_deref(), &dirs)?;
    cx.ui.line(verifier.verify(bytes, found.as_deref())?)
}
