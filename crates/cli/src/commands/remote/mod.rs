//! `remote`: the remotes of a repository, one file a verb.

mod add;
mod delete;
mod gpg_import;
mod gpg_list_keys;
mod list;
mod place;
mod refs;
mod show_url;

pub use place::Place;

use clap::{Args, Subcommand};

use crate::commands::not_yet::{self, NotYetArgs};
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `remote`.
#[derive(Args, Debug)]
pub struct RemoteArgs {
    #[command(subcommand)]
    verb: Option<RemoteVerb>,
}

#[derive(Subcommand, Debug)]
enum RemoteVerb {
    /// Add a remote repository
    Add(add::AddArgs),
    /// Delete a remote repository
    Delete(delete::DeleteArgs),
    /// Show remote repository URL
    ShowUrl(show_url::ShowUrlArgs),
    /// List remote repository names
    List(list::ListArgs),
    /// List remote refs
    Refs(refs::RemoteRefsArgs),

    /// Import GPG keys
    GpgImport(gpg_import::GpgImportArgs),
    /// Show remote GPG keys
    GpgListKeys(gpg_list_keys::GpgListKeysArgs),
    /// Add a cookie to remote
    #[command(hide = true)]
    AddCookie(NotYetArgs),
    /// Remove one cookie from remote
    #[command(hide = true)]
    DeleteCookie(NotYetArgs),
    /// Show remote repository cookies
    #[command(hide = true)]
    ListCookies(NotYetArgs),
    /// Show remote summary
    #[command(hide = true)]
    Summary(NotYetArgs),
}

/// Runs `remote`.
pub fn run(args: RemoteArgs, cx: &Context) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"remote\" subcommand specified")),
        Some(RemoteVerb::Add(args)) => add::run(args, cx),
        Some(RemoteVerb::Delete(args)) => delete::run(args, cx),
        Some(RemoteVerb::ShowUrl(args)) => show_url::run(args, cx),
        Some(RemoteVerb::List(args)) => list::run(args, cx),
        Some(RemoteVerb::Refs(args)) => refs::run(args, cx),
        Some(RemoteVerb::GpgImport(args)) => gpg_import::run(args, cx),
        Some(RemoteVerb::GpgListKeys(args)) => gpg_list_keys::run(args, cx),
        Some(RemoteVerb::AddCookie(_)) => not_yet::run("remote add-cookie"),
        Some(RemoteVerb::DeleteCookie(_)) => not_yet::run("remote delete-cookie"),
        Some(RemoteVerb::ListCookies(_)) => not_yet::run("remote list-cookies"),
        Some(RemoteVerb::Summary(_)) => not_yet::run("remote summary"),
    }
}
