//! `remote gpg-import`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_repo::remote::find_remote;
use trefoil_repo::verify::{KeyImport, import_keys, key_file, plan_import_keys};
use trefoil_sign::gpg::{KEYRING_LIMIT, Keyring};

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::keys;

/// Arguments of `remote gpg-import`.
#[derive(Args, Debug)]
pub struct GpgImportArgs {
    /// Remote, then the keys to import; without any, all
    #[arg(value_name = "NAME [KEY-ID...]")]
    arguments: Vec<String>,
    /// Import keys from a keyring file (repeatable)
    #[arg(short, long, value_name = "FILE")]
    keyring: Vec<PathBuf>,
    /// Import keys from standard input
    #[arg(long)]
    stdin: bool,
    /// Use sysroot at PATH (overrides --repo)
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// Only say which keys would be imported
    #[arg(long)]
    dry_run: bool,
}

/// Runs `remote gpg-import`.
pub fn run(args: GpgImportArgs, cx: &Context) -> Result<()> {
    let [name, wanted @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("NAME must be specified"));
    };
    if args.stdin && !args.keyring.is_empty() {
        return Err(CliError::usage("--keyring and --stdin are mutually exclusive"));
    }
    let place = Place::open(cx, args.sysroot.as_deref())?;
    let mut source = Keyring::default();
    if args.stdin {
        let mut content = Vec::new();
        std::io::stdin()
            .take(KEYRING_LIMIT)
            .read_to_end(&mut content)
            .context("reading standard input")?;
        source.add(&content)?;
    }
    for path in &args.keyring {
        add_file(cx, &mut source, path)?;
    }
    if !args.stdin && args.keyring.is_empty() {
        own_keys(cx, &mut source)?;
    }
    import(cx, &place, name, &source, wanted, args.dry_run)
}

/// Adds the keys of a file.
pub fn add_file(cx: &Context, ring: &mut Keyring, path: &Path) -> Result<()> {
    ring.add(&key_file(&cx.fs, path)?)?;
    Ok(())
}

/// The keys of the user, where nothing else is named: what `gpg` exports.
fn own_keys(cx: &Context, ring: &mut Keyring) -> Result<()> {
    cx.ui.debug("importing the keys that gpg exports")?;
    let output = std::process::Command::new("gpg")
        .args(["--batch", "--no-tty", "--export"])
        .output()
        .context("running gpg")?;
    ring.add(&output.stdout)?;
    Ok(())
}

/// Puts keys into the keyring of a remote and says how many were new; in a dry run only which
/// would be.
pub fn import(
    cx: &Context,
    place: &Place,
    name: &str,
    source: &Keyring,
    wanted: &[String],
    dry_run: bool,
) -> Result<()> {
    let remote = find_remote(&place.repo, place.remotes_d.as_ref(), name)?;
    let sources = keys::sources(place.remotes_d.as_ref());
    if dry_run {
        return tell(cx, name, &plan_import_keys(&place.repo, &remote, &sources, source, wanted)?);
    }
    let imported = import_keys(&place.repo, &remote, &sources, source, wanted)?;
    let plural = if imported == 1 { "" } else { "s" };
    cx.ui.line(format_args!("Imported {imported} GPG key{plural} to remote \"{name}\""))
}

fn tell(cx: &Context, name: &str, plan: &KeyImport) -> Result<()> {
    for key in plan.added.iter().filter_map(|key| key.subkeys.first()) {
        let fingerprint = &key.fingerprint;
        cx.ui.line(format_args!("GPG key {fingerprint} would be imported to remote \"{name}\""))?;
    }
    match plan.count {
        0 => cx.ui.line(format_args!("all keys are known for remote \"{name}\"")),
        _ => Ok(()),
    }
}
