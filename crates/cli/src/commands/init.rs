//! `init`: a new repository.

use std::path::Path;

use clap::Args;
use trefoil_repo::{Repo, RepoMode};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::user_files;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Initialize repository in given mode (bare, bare-user, bare-user-only, archive)
    #[arg(long, value_name = "MODE", default_value = "bare")]
    mode: String,
    /// Globally unique ID for this repository as an collection of refs for redistribution to other repositories
    #[arg(long, value_name = "COLLECTION-ID")]
    collection_id: Option<String>,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
}

/// Runs `init`.
pub fn run(args: InitArgs, cx: &Context) -> Result<()> {
    let mode = RepoMode::from_word(&args.mode).ok_or_else(|| {
        CliError::failed(format!("Invalid mode '{}' in repository configuration", args.mode))
    })?;
    if let Some(id) = &args.collection_id {
        trefoil_format::name::CollectionId::new(id)?;
    }
    let path = cx.repo_path()?;
    if args.dry_run {
        return plan(cx, &path, mode);
    }
    if !path.exists() {
        user_files::make_dirs(&path)?;
    }
    Repo::create(cx.fs.open_dir(&path)?, mode, args.collection_id.as_deref())
        .context(format!("initializing repository {}", path.display()))?;
    Ok(())
}

fn plan(cx: &Context, path: &Path, mode: RepoMode) -> Result<()> {
    let shown = path.display();
    let made = match path.exists() {
        true => Repo::would_create(&cx.fs.open_dir(path)?)
            .context(format!("initializing repository {shown}"))?,
        false => true,
    };
    match made {
        true => cx.ui.line(format_args!("repository {shown} would be made in mode {mode}")),
        false => cx.ui.line(format_args!("repository {shown} is there and would be left as it is")),
    }
}
