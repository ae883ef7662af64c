//! `cat`: the content of files in a commit.

use std::io::Read;

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_repo::{Repo, TreeEntry, TreeId};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::object_tree;

/// Arguments of `cat`.
#[derive(Args, Debug)]
pub struct CatArgs {
    /// Commit or ref, then paths in its tree
    #[arg(value_name = "COMMIT PATH...")]
    arguments: Vec<String>,
}

/// As Linux has it.
const MAX_LINKS: usize = 40;
const CHUNK: usize = 64 * 1024;

/// Runs `cat`.
pub fn run(args: CatArgs, cx: &Context) -> Result<()> {
    let [commit, paths @ ..] = args.arguments.as_slice() else { return Err(too_few()) };
    if paths.is_empty() {
        return Err(too_few());
    }
    let repo = cx.open_repo()?;
    let root = object_tree::root(&repo, commit)?;
    paths.iter().try_for_each(|path| print(cx, &repo, root, path))
}

fn print(cx: &Context, repo: &Repo, root: TreeId, path: &str) -> Result<()> {
    let mut reader = repo.load_file(&find(repo, root, path)?)?.content;
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = reader.read(&mut chunk).context(format!("reading {path}"))?;
        if n == 0 {
            return Ok(());
        }
        cx.ui.bytes(&chunk[..n])?;
    }
}

/// The file that `path` leads to, symbolic links in its last component followed.
fn find(repo: &Repo, root: TreeId, path: &str) -> Result<Checksum> {
    let mut at = object_tree::absolute(path);
    for _ in 0..MAX_LINKS {
        let checksum = match object_tree::lookup(repo, root, &at)? {
            TreeEntry::Dir(_) => {
                return Err(CliError::failed(format!("Can't open directory: {at}")));
            }
            TreeEntry::File(checksum) => checksum,
        };
        let Some(target) = repo.load_file(&checksum)?.header.symlink_target else {
            return Ok(checksum);
        };
        at = match target.starts_with('/') {
            true => object_tree::absolute(&target),
            false => object_tree::absolute(&format!("{at}/../{target}")),
        };
    }
    Err(CliError::failed(format!("Too many levels of symbolic links: {path}")))
}

fn too_few() -> CliError {
    CliError::usage("A COMMIT and at least one PATH argument are required")
}
