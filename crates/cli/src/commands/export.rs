//! `export`: a commit as a tar archive.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use trefoil_repo::export::{ExportOptions, export_tree, pad_to_record};
use trefoil_repo::{Repo, RepoError, TreeEntry, TreeId};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::{object_tree, user_files};

/// Arguments of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Commit or ref
    #[arg(value_name = "COMMIT")]
    commit: Option<String>,
    /// Skip output of extended attributes
    #[arg(long)]
    no_xattrs: bool,
    /// Export sub-directory PATH
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    /// Add PATH as prefix to archive pathnames
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Output to PATH
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

const BUFFER: usize = 256 * 1024;

/// Runs `export`.
pub fn run(args: ExportArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let rev = args.commit.as_deref();
    let rev = rev.ok_or_else(|| CliError::usage("A COMMIT argument is required"))?;
    let commit = repo.load_commit(&repo.resolve_rev(rev)?)?;
    let tree = subtree(&repo, TreeId::of_commit(&commit), args.subpath.as_deref())?;
    let options = ExportOptions {
        timestamp: commit.timestamp,
        prefix: args.prefix.clone().unwrap_or_default(),
        no_xattrs: args.no_xattrs,
    };
    let progress = cx.progress("export");
    let done = match &args.output {
        Some(path) => {
            let file = user_files::create(path)?;
            let mut out = BufWriter::with_capacity(BUFFER, file);
            export_tree(&repo, tree, &options, &mut out).and_then(|_| flush(&mut out))
        }
        None => {
            let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
            let exported = export_tree(&repo, tree, &options, &mut out);
            exported.and_then(|stats| {
                pad_to_record(&stats, &mut out).map_err(RepoError::ExportWrite)?;
                flush(&mut out)
            })
        }
    };
    drop(progress);
    match done {
        // Whoever closed the pipe has seen enough.
        Err(RepoError::ExportWrite(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(RepoError::ExportWrite(e)) => match &args.output {
            Some(path) => Err(e).context(format!("writing {}", path.display())),
            None => Err(e).context("writing standard output"),
        },
        other => Ok(other?),
    }
}

fn flush(out: &mut impl Write) -> std::result::Result<(), RepoError> {
    out.flush().map_err(RepoError::ExportWrite)
}

fn subtree(repo: &Repo, root: TreeId, path: Option<&str>) -> Result<TreeId> {
    let Some(path) = path else { return Ok(root) };
    match object_tree::lookup(repo, root, path)? {
        TreeEntry::Dir(tree) => Ok(tree),
        TreeEntry::File(_) => Err(CliError::failed(format!("Not a directory: {path}"))),
    }
}
