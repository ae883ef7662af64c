//! `gpg-sign`: OpenPGP signatures, put on a commit or removed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Metadata, Type, Value};
use trefoil_format::object::ObjectType;
use trefoil_repo::Repo;
use trefoil_repo::verify::{KeyringOf, gpg_signatures, keyring};
use trefoil_sign::gpg::METADATA_KEY;

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::keys;
use crate::signing::Signers;

/// Arguments of `gpg-sign`.
#[derive(Args, Debug)]
pub struct GpgSignArgs {
    /// The commit, then the keys to sign with
    #[arg(value_name = "COMMIT KEY-ID...")]
    arguments: Vec<String>,
    /// Delete signatures having any of the GPG KEY-IDs
    #[arg(short, long)]
    delete: bool,
    /// GPG Homedir to use when looking for keyrings
    #[arg(long, value_name = "HOMEDIR")]
    gpg_homedir: Option<PathBuf>,
    /// Only say what would be signed or deleted
    #[arg(long)]
    dry_run: bool,
}

/// Runs `gpg-sign`.
pub fn run(args: GpgSignArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let [rev, ids @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("Need a COMMIT to sign"));
    };
    if ids.is_empty() {
        return Err(CliError::usage("Need at least one GPG KEY-ID to sign with"));
    }
    let commit = repo.resolve_rev(rev)?;
    let bytes = repo.load_metadata(ObjectType::Commit, &commit).context("Failed to read commit")?;
    let detached = repo.load_detached(&commit).context("Failed to read detached metadata")?;
    let metadata = detached.unwrap_or_default();
    if args.delete {
        let trash = trash(&repo, &bytes, &metadata, ids)?;
        let deleted = trash.len();
        if args.dry_run {
            return cx.ui.line(format_args!("Signatures that would be deleted: {deleted}"));
        }
        delete(&repo, &commit, metadata, &trash)?;
        return cx.ui.line(format_args!("Signatures deleted: {deleted}"));
    }
    // One at a time, so that those before a key that fails stay.
    let mut metadata = metadata;
    for id in ids {
        let signers = Signers::gpg(vec![id.clone()], args.gpg_homedir.clone());
        if args.dry_run {
            signers.try_sign(&repo, &bytes, &metadata)?;
            cx.ui.line(format_args!("{commit} would be signed with GPG key {id}"))?;
            continue;
        }
        signers.sign(&repo, &bytes, &mut metadata)?;
        repo.write_detached(&commit, Some(&metadata))?;
    }
    Ok(())
}

/// For each key the place of the first signature by its certificate, as far as the keyrings of
/// the repository and of the system know it.
fn trash(
    repo: &Repo,
    bytes: &[u8],
    metadata: &Metadata,
    ids: &[String],
) -> Result<BTreeSet<usize>> {
    let Some(signatures) = gpg_signatures(metadata)? else { return Ok(BTreeSet::new()) };
    let sources = keys::sources(None);
    let ring = keyring(repo, &KeyringOf::AllRemotes, &sources)?;
    let reports = ring.verify(bytes, &signatures, sources.now)?;
    let found = ids.iter().filter_map(|id| ring.primary_fingerprint(id));
    Ok(found
        .filter_map(|fingerprint| {
            reports.iter().find(|r| r.fingerprint_primary == fingerprint).map(|r| r.blob)
        })
        .collect())
}

/// Removes signatures by their places.
fn delete(
    repo: &Repo,
    commit: &Checksum,
    mut metadata: Metadata,
    trash: &BTreeSet<usize>,
) -> Result<()> {
    let Some(signatures) = gpg_signatures(&metadata)? else { return Ok(()) };
    let kept: Vec<Value> = signatures
        .iter()
        .enumerate()
        .filter(|(index, _)| !trash.contains(index))
        .map(|(_, signature)| Value::Bytes(signature.to_vec()))
        .collect();
    match kept.is_empty() {
        true => drop(metadata.remove(METADATA_KEY)),
        false => metadata.set(METADATA_KEY, Value::Array(Type::bytes(), kept)),
    }
    Ok(repo.write_detached(commit, Some(&metadata))?)
}
