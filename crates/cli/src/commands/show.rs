//! `show`: one object, or parts of a commit's metadata.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::{Metadata, Type, Value};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::sizes::{self, SIZES_KEY};
use trefoil_repo::Repo;
use trefoil_repo::remote::find_remote;
use trefoil_repo::verify::{KeySources, KeyringOf, gpg_reports, has_gpg_signature, keyring};
use trefoil_sign::gpg::SignatureReport;

use crate::commands::log::CommitView;
use crate::commands::ls::xattr_text;
use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::{dates, keys, size};

/// Arguments of `show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Checksum of an object, or a ref
    #[arg(value_name = "OBJECT")]
    object: Option<String>,
    /// Show the "related" commits
    #[arg(long)]
    print_related: bool,
    /// Memory map OBJECT (in this case a filename) to the GVariant type string
    #[arg(long, value_name = "TYPE")]
    print_variant_type: Option<String>,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// For byte array valued keys, output an unquoted hexadecimal string
    #[arg(long)]
    print_hex: bool,
    /// List the available detached metadata keys
    #[arg(long)]
    list_detached_metadata_keys: bool,
    /// Print string value of detached metadata key
    #[arg(long, value_name = "KEY")]
    print_detached_metadata_key: Option<String>,
    /// Show the commit size metadata
    #[arg(long)]
    print_sizes: bool,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
    /// Do not automatically convert variant data from big endian
    #[arg(short = 'B', long)]
    no_byteswap: bool,
    /// GPG Homedir to use when looking for keyrings
    #[arg(long, value_name = "HOMEDIR")]
    gpg_homedir: Option<PathBuf>,
    /// Use REMOTE name for GPG configuration
    #[arg(long, value_name = "REMOTE")]
    gpg_verify_remote: Option<String>,
    /// Print the object as JSON
    #[arg(long)]
    json: bool,
}

/// Largest file `--print-variant-type` reads.
const VARIANT_LIMIT: u64 = 128 << 20;

/// Runs `show`.
pub fn run(args: ShowArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let rev = args.object.as_deref();
    let rev = rev.ok_or_else(|| CliError::usage("An object argument is required"))?;
    if let Some(key) = &args.print_detached_metadata_key {
        let metadata = detached(&repo, &repo.resolve_rev(rev)?)?;
        return print_key(&args, cx, &metadata, key);
    }
    if let Some(key) = &args.print_metadata_key {
        let commit = repo.load_commit(&repo.resolve_rev(rev)?)?;
        return print_key(&args, cx, &commit.metadata, key);
    }
    if args.list_detached_metadata_keys {
        return list_keys(&args, cx, &detached(&repo, &repo.resolve_rev(rev)?)?);
    }
    if args.list_metadata_keys {
        return list_keys(&args, cx, &repo.load_commit(&repo.resolve_rev(rev)?)?.metadata);
    }
    if args.print_related {
        let commit = repo.load_commit(&repo.resolve_rev(rev)?)?;
        return commit
            .related
            .iter()
            .try_for_each(|(name, c)| cx.ui.line(format_args!("{name} {c}")));
    }
    if let Some(ty) = &args.print_variant_type {
        return print_file(cx, ty, rev);
    }
    if args.print_sizes {
        return print_sizes(&args, cx, &repo, &repo.resolve_rev(rev)?);
    }
    show_object(&args, cx, &repo, rev)
}

fn detached(repo: &Repo, commit: &Checksum) -> Result<Metadata> {
    let missing = || CliError::failed(format!("No detached metadata for commit {commit}"));
    repo.load_detached(commit)?.ok_or_else(missing)
}

fn print_key(args: &ShowArgs, cx: &Context, metadata: &Metadata, key: &str) -> Result<()> {
    let missing = || CliError::failed(format!("No such metadata key '{key}'"));
    let value = metadata.get(key).ok_or_else(missing)?;
    match value {
        Value::Bytes(bytes) if args.print_hex => {
            cx.ui.line(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
        value if args.no_byteswap => cx.ui.line(value.print(true)),
        value => cx.ui.line(value.byteswapped().print(true)),
    }
}

/// The sums for `--print-sizes`. What is needed is what this repository does not have.
#[derive(Debug, Default, Serialize)]
struct SizesView {
    archived_needed: u64,
    archived: u64,
    unpacked_needed: u64,
    unpacked: u64,
    objects_needed: u64,
    objects: u64,
}

fn print_sizes(args: &ShowArgs, cx: &Context, repo: &Repo, rev: &Checksum) -> Result<()> {
    let commit = repo.load_commit(rev)?;
    let missing = || CliError::failed(format!("No metadata key {SIZES_KEY} in commit {rev}"));
    let value = commit.metadata.get(SIZES_KEY).ok_or_else(missing)?;
    let mut sum = SizesView::default();
    for size in sizes::from_value(value).context(format!("reading commit {rev}"))? {
        sum.archived = sum.archived.saturating_add(size.archived);
        sum.unpacked = sum.unpacked.saturating_add(size.unpacked);
        sum.objects += 1;
        if !repo.has_object(&size.name)? {
            sum.archived_needed = sum.archived_needed.saturating_add(size.archived);
            sum.unpacked_needed = sum.unpacked_needed.saturating_add(size.unpacked);
            sum.objects_needed += 1;
        }
    }
    if args.json {
        return cx.ui.json(&sum);
    }
    cx.ui.text(format_args!(
        "Compressed size (needed/total): {}/{}\nUnpacked size (needed/total): {}/{}\n\
         Number of objects (needed/total): {}/{}\n",
        size::words(sum.archived_needed),
        size::words(sum.archived),
        size::words(sum.unpacked_needed),
        size::words(sum.unpacked),
        sum.objects_needed,
        sum.objects,
    ))
}

fn list_keys(args: &ShowArgs, cx: &Context, metadata: &Metadata) -> Result<()> {
    let mut keys: Vec<&str> = metadata.0.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    if args.json {
        return cx.ui.json(&keys);
    }
    keys.iter().try_for_each(|key| cx.ui.line(key))
}

fn print_file(cx: &Context, ty: &str, path: &str) -> Result<()> {
    let dir = cx.fs.open_dir(".")?;
    let bytes = dir.read(path, VARIANT_LIMIT)?;
    let value = Value::parse(&ty.parse()?, &bytes).context(format!("reading {path}"))?;
    cx.ui.line(value.byteswapped().print(true))
}

/// The bytes of a metadata object as GVariant text with numbers turned to this machine's
/// order, or as they are.
fn object_text(repo: &Repo, kind: ObjectType, checksum: &Checksum, swap: bool) -> Result<String> {
    let ty: Type = match kind {
        ObjectType::Commit => "(a{sv}aya(say)sstayay)",
        ObjectType::DirTree => "(a(say)a(sayay))",
        _ => "(uuua(ayay))",
    }
    .parse()?;
    let value = Value::parse(&ty, &repo.load_metadata(kind, checksum)?)
        .context(format!("reading object {}", ObjectName::new(*checksum, kind)))?;
    Ok(if swap { value.byteswapped().print(true) } else { value.print(true) })
}

/// What `--raw` shows of a metadata object.
pub fn raw_object(repo: &Repo, kind: ObjectType, checksum: &Checksum) -> Result<String> {
    object_text(repo, kind, checksum, true)
}

fn show_object(args: &ShowArgs, cx: &Context, repo: &Repo, rev: &str) -> Result<()> {
    let Ok(checksum) = rev.parse::<Checksum>() else {
        return show_metadata(args, cx, repo, ObjectType::Commit, &repo.resolve_rev(rev)?);
    };
    for kind in [ObjectType::Commit, ObjectType::DirMeta, ObjectType::DirTree] {
        if repo.has_object(&ObjectName::new(checksum, kind))? {
            return show_metadata(args, cx, repo, kind, &checksum);
        }
    }
    show_file(args, cx, repo, &checksum)
}

/// A metadata object for `--json`.
#[derive(Debug, Serialize)]
struct MetadataView {
    #[serde(rename = "type")]
    kind: String,
    checksum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitView>,
    /// GVariant text.
    variant: String,
}

fn show_metadata(
    args: &ShowArgs,
    cx: &Context,
    repo: &Repo,
    kind: ObjectType,
    checksum: &Checksum,
) -> Result<()> {
    let view = |commit: Commit| CommitView::new(checksum, &commit);
    let commit = match kind {
        ObjectType::Commit => Some(view(repo.load_commit(checksum)?)),
        _ => None,
    };
    if args.json {
        return cx.ui.json(&MetadataView {
            kind: kind.to_string(),
            checksum: checksum.to_hex(),
            commit,
            variant: raw_object(repo, kind, checksum)?,
        });
    }
    cx.ui.line(format_args!("{kind} {checksum}"))?;
    if args.no_byteswap {
        cx.ui.line(object_text(repo, kind, checksum, false)?)?;
    } else if args.raw {
        return cx.ui.line(raw_object(repo, kind, checksum)?);
    }
    match commit {
        Some(commit) => {
            cx.ui.text(commit.text()?)?;
            show_signatures(args, cx, repo, checksum)
        }
        None => Ok(()),
    }
}

/// What became of the OpenPGP signatures of a commit, by the keys of one remote, or of all
/// remotes and the system.
fn show_signatures(args: &ShowArgs, cx: &Context, repo: &Repo, commit: &Checksum) -> Result<()> {
    let place;
    let remote;
    let mut sources = keys::sources(None);
    let of = match (&args.gpg_verify_remote, &args.gpg_homedir) {
        (Some(name), _) => {
            place = Place::open(cx, None)?;
            sources = keys::sources(place.remotes_d.as_ref());
            remote = find_remote(repo, place.remotes_d.as_ref(), name)?;
            KeyringOf::Remote(&remote)
        }
        (None, Some(path)) => KeyringOf::Homedir(path.clone()),
        (None, None) => KeyringOf::AllRemotes,
    };
    let Some(reports) = signature_reports(repo, commit, &of, &sources)? else { return Ok(()) };
    let plural = if reports.len() == 1 { "" } else { "s" };
    cx.ui.line(format_args!("Found {} signature{plural}:", reports.len()))?;
    reports.iter().try_for_each(|report| {
        cx.ui.text(format_args!("\n{}", report.describe("  ", dates::local_c)))
    })
}

/// `None` where the commit has no OpenPGP signature. Keyrings are read only where it has.
pub fn signature_reports(
    repo: &Repo,
    commit: &Checksum,
    of: &KeyringOf<'_>,
    sources: &KeySources<'_>,
) -> Result<Option<Vec<SignatureReport>>> {
    if !has_gpg_signature(repo, commit)? {
        return Ok(None);
    }
    let ring = keyring(repo, of, sources)?;
    Ok(gpg_reports(repo, commit, &ring, sources.now)?)
}

/// A file object.
#[derive(Debug, Serialize)]
struct FileView {
    object: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    mode: u32,
    uid: u32,
    gid: u32,
    xattrs: String,
}

fn show_file(args: &ShowArgs, cx: &Context, repo: &Repo, checksum: &Checksum) -> Result<()> {
    let file = repo.load_file(checksum)?;
    let view = FileView {
        object: checksum.to_hex(),
        size: file.size,
        target: file.header.symlink_target.clone(),
        mode: file.header.mode,
        uid: file.header.uid,
        gid: file.header.gid,
        xattrs: xattr_text(&file.header.xattrs)?,
    };
    if args.json {
        return cx.ui.json(&view);
    }
    let kind = match &view.target {
        Some(target) => format!("symlink\nTarget: {target}"),
        None => format!("regular\nSize: {}", view.size),
    };
    cx.ui.text(format_args!(
        "Object: {}\nType: file\nFile Type: {kind}\nMode: 0{:04o}\nUid: {}\nGid: {}\n\
         Extended Attributes: {{ {} }}\n",
        view.object, view.mode, view.uid, view.gid, view.xattrs
    ))
}
