//! `remote add`.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::remote::{IfExists, NewRemote, add_remote, would_add_remote};
use trefoil_sign::SignType;
use trefoil_sign::gpg::Keyring;

use super::{Place, gpg_import};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `remote add`.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// Name and address of the remote, and what to pull where nothing is named
    #[arg(value_name = "NAME [metalink=|mirrorlist=]URL [BRANCH...]")]
    arguments: Vec<String>,
    /// Set config option KEY=VALUE for remote
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Disable GPG verification
    #[arg(long)]
    no_gpg_verify: bool,
    /// Disable signature verification
    #[arg(long)]
    no_sign_verify: bool,
    /// Verify signatures using KEYTYPE=inline:PUBKEY or KEYTYPE=file:/path/to/key
    #[arg(long, value_name = "KEYTYPE=[inline|file]:PUBKEY")]
    sign_verify: Vec<String>,
    /// Do nothing if the provided remote exists
    #[arg(long)]
    if_not_exists: bool,
    /// Replace the provided remote if it exists
    #[arg(long)]
    force: bool,
    /// Import GPG key from FILE
    #[arg(long, value_name = "FILE")]
    gpg_import: Option<PathBuf>,
    /// This remote has content not fetched via libostree
    #[arg(long, value_name = "NAME")]
    custom_backend: Option<String>,
    /// Use URL when fetching content
    #[arg(long, value_name = "URL")]
    contenturl: Option<String>,
    /// Globally unique ID for this repository as an collection of refs for redistribution to other repositories
    #[arg(long, value_name = "COLLECTION-ID")]
    collection_id: Option<String>,
    /// Use sysroot at PATH (overrides --repo)
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// Only say what would be added
    #[arg(long)]
    dry_run: bool,
}

/// Runs `remote add`.
pub fn run(args: AddArgs, cx: &Context) -> Result<()> {
    let (name, url, branches) = match args.arguments.as_slice() {
        [name] if args.custom_backend.is_some() => (name, None, Vec::new()),
        [name, url, branches @ ..] => (name, Some(url.clone()), branches.to_vec()),
        _ if args.custom_backend.is_some() => {
            return Err(CliError::usage("NAME must be specified"));
        }
        _ => return Err(CliError::usage("NAME and URL must be specified")),
    };
    let if_exists = match (args.if_not_exists, args.force) {
        (true, true) => {
            let text = "Can only specify one of --if-not-exists and --force";
            return Err(CliError::usage(text));
        }
        (true, false) => IfExists::Keep,
        (false, true) => IfExists::Replace,
        (false, false) => IfExists::Refuse,
    };
    let new = NewRemote { url, branches, options: options(&args)? };
    let mut place = Place::open(cx, args.sysroot.as_deref())?;
    if args.dry_run {
        if let Some(path) = &args.gpg_import {
            gpg_import::add_file(cx, &mut Keyring::default(), path)?;
        }
        let (repo, remotes_d) = (&place.repo, place.remotes_d.as_ref());
        if !would_add_remote(repo, remotes_d, name, &new, if_exists)? {
            return cx.ui.line(format_args!("remote {name} is there and would be left as it is"));
        }
        let url = new.url.as_deref().unwrap_or("(no address)");
        cx.ui.line(format_args!("would add remote {name}: {url}"))?;
        let branches = new.branches.iter().map(|branch| format!("branches={branch}"));
        let options = new.options.iter().map(|(key, value)| format!("{key}={value}"));
        return branches.chain(options).try_for_each(|set| cx.ui.line(format_args!("  {set}")));
    }
    place.for_writing(cx)?;
    let mut source = Keyring::default();
    if let Some(path) = &args.gpg_import {
        gpg_import::add_file(cx, &mut source, path)?;
    }
    add_remote(&mut place.repo, place.remotes_d.as_ref(), name, &new, if_exists)?;
    match &args.gpg_import {
        Some(_) => gpg_import::import(cx, &place, name, &source, &[], false),
        None => Ok(()),
    }
}

/// The settings in libostree's order.
fn options(args: &AddArgs) -> Result<Vec<(String, String)>> {
    let mut options = Vec::new();
    let mut add = |key: &str, value: &str| options.push((key.to_string(), value.to_string()));
    if let Some(url) = &args.contenturl {
        add("contenturl", url);
    }
    if let Some(backend) = &args.custom_backend {
        add("custom-backend", backend);
    }
    for text in &args.set {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            CliError::failed(format!("Missing '=' in KEY=VALUE for --set: '{text}'"))
        })?;
        add(key, value);
    }
    if args.no_gpg_verify || args.no_sign_verify {
        add("gpg-verify", "false");
    }
    if args.no_sign_verify {
        if !args.sign_verify.is_empty() {
            let text = "Cannot specify both --sign-verify and --no-sign-verify";
            return Err(CliError::failed(text));
        }
        add("sign-verify", "false");
    }
    let mut types = Vec::new();
    for spec in &args.sign_verify {
        let (key, value, kind) = verification_key(spec)?;
        add(&key, value);
        types.push(kind);
    }
    if !types.is_empty() {
        add("sign-verify", &types.join(","));
    }
    if let Some(id) = &args.collection_id {
        add("collection-id", id);
    }
    Ok(options)
}

/// Setting, its value and the type of key that `TYPE=inline:KEY` or `TYPE=file:PATH` means.
fn verification_key(spec: &str) -> Result<(String, &str, &str)> {
    let parse =
        || CliError::failed(format!("Failed to parse KEYTYPE=[inline|file]:DATA in {spec}"));
    let (kind, rest) = spec.split_once('=').ok_or_else(parse)?;
    kind.parse::<SignType>().map_err(|e| CliError::failed(format!("{e}: {kind}")))?;
    let (place, value) = rest.split_once(':').ok_or_else(parse)?;
    match place {
        "inline" => Ok((format!("verification-{kind}-key"), value, kind)),
        "file" => Ok((format!("verification-{kind}-file"), value, kind)),
        _ => Err(CliError::failed(format!("Invalid key reference {place}, expected inline|file"))),
    }
}
