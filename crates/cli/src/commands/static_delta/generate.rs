//! `static-delta generate`.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::Repo;
use trefoil_repo::delta::{
    DeltaName, DeltaPlace, Endianness, GenerateOptions, GenerateReport, SignDelta, generate_delta,
    has_delta, plan_generate,
};
use trefoil_sign::{SecretKey, SignType};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{dates, keys, signing};

/// Sizes on the command line are in these.
const MEGABYTE: u64 = 1_000_000;

/// Arguments of `static-delta generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Revision to make a delta to
    #[arg(value_name = "[TO]")]
    rev: Option<String>,
    /// Create delta from revision REV
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// Create delta from scratch
    #[arg(long)]
    empty: bool,
    /// Inline delta parts into main delta
    #[arg(long)]
    inline: bool,
    /// Create delta to revision REV
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Disable use of bsdiff
    #[arg(long)]
    disable_bsdiff: bool,
    /// Only generate if a delta does not already exist
    #[arg(short = 'n', long)]
    if_not_exists: bool,
    /// Choose metadata endianness ('l' or 'B')
    #[arg(long, value_name = "ENDIAN")]
    set_endianness: Option<String>,
    /// Swap metadata endianness from host order
    #[arg(long)]
    swap_endianness: bool,
    /// Minimum uncompressed size in megabytes for individual HTTP request
    #[arg(long, value_name = "SIZE")]
    min_fallback_size: Option<u32>,
    /// Maximum size in megabytes to consider bsdiff compression for input files
    #[arg(long, value_name = "SIZE")]
    max_bsdiff_size: Option<u32>,
    /// Maximum size of delta chunks in megabytes
    #[arg(long, value_name = "SIZE")]
    max_chunk_size: Option<u32>,
    /// Write the delta content to PATH (a directory).  If not specified, the OSTree repository is used
    #[arg(long, value_name = "PATH")]
    filename: Option<PathBuf>,
    /// Sign the delta with
    #[arg(long, value_name = "KEY_ID")]
    sign: Vec<String>,
    /// Signature type to use (defaults to 'ed25519')
    #[arg(long, value_name = "NAME")]
    sign_type: Option<String>,
    /// Read key(s) from file
    #[arg(long, value_name = "NAME")]
    keys_file: Option<PathBuf>,
    /// Only say what would be in the delta
    #[arg(long)]
    dry_run: bool,
}

/// Runs `static-delta generate`.
pub fn run(args: GenerateArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let name = delta_name(&args, &repo)?;
    if args.if_not_exists && has_delta(&repo, &name)? {
        return cx.ui.line(format_args!("Delta {name} already exists."));
    }
    let secret = secret_keys(&args, cx)?;
    let sign = |data: &[u8]| sign(&secret, data);
    let options = GenerateOptions {
        sign: (!secret.is_empty()).then_some(&sign as SignDelta<'_>),
        ..options(&args)?
    };
    if args.dry_run {
        return plan(&args, cx, &repo, &name, &options);
    }
    cx.ui.line("Generating static delta:")?;
    match name.from {
        Some(from) => cx.ui.line(format_args!("  From: {from}"))?,
        None => cx.ui.line("  From: empty")?,
    }
    cx.ui.line(format_args!("  To:   {}", name.to))?;
    let progress = cx.progress("generate delta");
    let report = match &args.filename {
        None => generate_delta(&repo, name, DeltaPlace::Repo, &options)?,
        Some(path) if path.as_os_str().is_empty() => {
            return Err(CliError::failed("Invalid 'filename' parameter"));
        }
        Some(path) => {
            let (dir, file) = super::split_file(cx, path)?;
            generate_delta(&repo, name, DeltaPlace::File(&dir, &file), &options)?
        }
    };
    drop(progress);
    cx.ui.words(words(&report))
}

/// Says what would be in the delta.
fn plan(
    args: &GenerateArgs,
    cx: &Context,
    repo: &Repo,
    name: &DeltaName,
    options: &GenerateOptions<'_>,
) -> Result<()> {
    let done = match &args.filename {
        Some(path) if path.as_os_str().is_empty() => {
            return Err(CliError::failed("Invalid 'filename' parameter"));
        }
        Some(path) => {
            super::split_file(cx, path)?;
            format!("written to {}", path.display())
        }
        None if has_delta(repo, name)? => "made anew".to_string(),
        None => "made".to_string(),
    };
    let report = plan_generate(repo, name, options)?;
    cx.ui.line(format_args!("delta {name} would be {done}"))?;
    cx.ui.text(objects(&report))?;
    cx.ui.line(format_args!(
        "bsdiff={} objects\nfallbacks={} objects\nloose={} bytes",
        report.bsdiff, report.fallbacks, report.loose_bytes
    ))
}

fn delta_name(args: &GenerateArgs, repo: &Repo) -> Result<DeltaName> {
    let to = args.to.as_ref().or(args.rev.as_ref());
    let to = to.ok_or_else(|| CliError::failed("TO revision must be specified"))?;
    if args.from.is_some() && args.empty {
        return Err(CliError::failed("Cannot specify both --empty and --from=REV"));
    }
    let to = repo.resolve_rev(to)?;
    let from = match (&args.from, args.empty) {
        (Some(from), _) => Some(repo.resolve_rev(from)?),
        (None, true) => None,
        (None, false) => Some(repo.resolve_rev(&format!("{to}^"))?),
    };
    Ok(DeltaName::new(from, to))
}

fn secret_keys(args: &GenerateArgs, cx: &Context) -> Result<Vec<SecretKey>> {
    if args.sign.is_empty() && args.keys_file.is_none() {
        return Ok(Vec::new());
    }
    let ty = keys::sign_type(args.sign_type.as_deref())?;
    signing::secrets(cx, ty, &args.sign, args.keys_file.as_slice())
}

/// All keys are of one type.
fn sign(keys: &[SecretKey], data: &[u8]) -> trefoil_repo::Result<(SignType, Vec<Vec<u8>>)> {
    let ty = keys.first().map_or(SignType::Ed25519, SecretKey::ty);
    let signatures = keys.iter().map(|key| key.sign(data));
    Ok((ty, signatures.collect::<std::result::Result<_, _>>()?))
}

fn options(args: &GenerateArgs) -> Result<GenerateOptions<'static>> {
    let endianness = match args.set_endianness.as_deref() {
        None | Some("l") => Endianness::Little,
        Some("B") => Endianness::Big,
        Some(other) => return Err(CliError::failed(format!("Invalid endianness '{other}'"))),
    };
    let mut options = GenerateOptions {
        bsdiff: !args.disable_bsdiff,
        inline: args.inline,
        endianness: if args.swap_endianness { endianness.swapped() } else { endianness },
        ..GenerateOptions::new(dates::now())
    };
    let set = |place: &mut u64, megabytes: Option<u32>| {
        if let Some(megabytes) = megabytes {
            *place = u64::from(megabytes) * MEGABYTE;
        }
    };
    set(&mut options.min_fallback_size, args.min_fallback_size);
    set(&mut options.max_bsdiff_size, args.max_bsdiff_size);
    set(&mut options.max_chunk_size, args.max_chunk_size);
    Ok(options)
}

/// The objects of a delta, of which `ostree` counts the commit among the metadata.
fn objects(report: &GenerateReport) -> String {
    format!(
        "modified: {}\nnew reachable: metadata={} content regular={} symlink={}\n\
         rollsum for {}/{} modified\n",
        report.modified,
        report.metadata + 1,
        report.regular,
        report.symlinks,
        report.rollsum,
        report.modified
    )
}

/// What `ostree` says of a delta it made.
fn words(report: &GenerateReport) -> String {
    let mut text = objects(report);
    let (mut compressed, mut uncompressed) = (0, 0);
    for (index, (objects, size, usize)) in report.parts.iter().enumerate() {
        let number = index + 1;
        text += &format!("part {number} n:{objects} compressed:{size} uncompressed:{usize}\n");
        compressed += size;
        uncompressed += usize;
    }
    text += &format!(
        "uncompressed={uncompressed} compressed={compressed} loose={}\n\
         rollsum={} objects, {} bytes\nbsdiff={} objects",
        report.loose_bytes, report.rollsum, report.rollsum_bytes, report.bsdiff
    );
    text
}
