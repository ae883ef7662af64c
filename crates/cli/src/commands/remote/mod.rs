//! `remote`: the remotes of a repository, one file a verb.

mod add;
mod cookies;
mod delete;
mod gpg_import;
mod gpg_list_keys;
mod list;
mod place;
mod refs;
mod show_url;
mod summary;

pub use place::Place;

use clap::{Args, Subcommand};

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
    AddCookie(cookies::CookieArgs),
    /// Remove one cookie from remote
    DeleteCookie(cookies::CookieArgs),
    /// Show remote repository cookies
    ListCookies(cookies::ListCookiesArgs),
    /// Show remote summary
    Summary(summary::RemoteSummaryArgs),
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
        Some(RemoteVerb::AddCookie(args)) => cookies::add(args, cx),
        Some(RemoteVerb::DeleteCookie(args)) => cookies::delete(args, cx),
        Some(RemoteVerb::ListCookies(args)) => cookies::list(args, cx),
        Some(RemoteVerb::Summary(args)) => summary::run(args, cx),
    }
}
