//! What a commit is told about its tree: what changed, and what is gone.

use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::Dir;
use trefoil_repo::commit::{CommitModifier, delete_paths, import_changes};
use trefoil_repo::{CommitState, MutableTree, Repo, Transaction, TreeId};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::user_files;

/// Lists of paths, and whiteouts.
#[derive(Args, Debug)]
pub struct ToldArgs {
    /// Look only at the paths listed in FILE ("-" for standard input) and take the rest from
    /// --base or the parent, which was committed from this directory with the same options
    #[arg(long, value_name = "FILE")]
    changed_from: Option<PathBuf>,
    /// Files named .wh.NAME and .wh..wh..opq in directories hide what earlier trees have there
    #[arg(long)]
    pub whiteouts: bool,
    /// Remove the paths listed in FILE ("-" for standard input) from all trees laid together
    #[arg(long, value_name = "FILE")]
    delete_from: Option<PathBuf>,
}

impl ToldArgs {
    /// Whether only the paths that changed are told.
    pub fn is_incremental(&self) -> bool {
        self.changed_from.is_some()
    }

    /// Whether any of this was asked for.
    pub fn is_any(&self) -> bool {
        self.changed_from.is_some() || self.whiteouts || self.delete_from.is_some()
    }

    /// Refuses what cannot go with `--changed-from`: the options here, and `others` if given.
    pub fn refuse_with(&self, others: &[(bool, &str)]) -> Result<()> {
        let ours = [(self.whiteouts, "--whiteouts"), (self.delete_from.is_some(), "--delete-from")];
        match ours.iter().chain(others).find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, option)) => {
                Err(CliError::failed(format!("Cannot specify both --changed-from and {option}")))
            }
        }
    }

    /// Writes the tree of `base` with what was told taken anew from `dir`. Lists by path are
    /// not checked for entries that nothing met: most of the tree is not looked at.
    pub fn import(
        &self,
        cx: &Context,
        transaction: &Transaction<'_>,
        dir: &Dir,
        base: Option<&Checksum>,
        modifier: &CommitModifier,
    ) -> Result<TreeId> {
        let repo = transaction.repo();
        let base = base.ok_or_else(|| {
            CliError::failed(
                "--changed-from needs a commit to start from, and there is no parent: make a \
                 full commit first, or name one with --base",
            )
        })?;
        let commit = repo.load_commit(base)?;
        if repo.commit_state(base)? != CommitState::Normal {
            return Err(CliError::failed(format!(
                "--changed-from cannot start from the partial commit {base}: what is not told is \
                 not looked at, and may be missing"
            )));
        }
        let mut tree = MutableTree::from_tree(TreeId::of_commit(&commit));
        let changes = read_paths(self.changed_from.as_deref(), "--changed-from")?;
        let told = import_changes(transaction, dir, &mut tree, &changes, modifier)?;
        if told.unknown > 0 {
            cx.ui.words(format_args!(
                "warning: {} of the paths listed are neither in the directory nor in the commit \
                 before; are they relative to it, and are the lines ended as in Unix?",
                told.unknown
            ))?;
        }
        Ok(tree.write(transaction)?)
    }

    /// Removes what `--delete-from` lists.
    pub fn delete(&self, repo: &Repo, tree: &mut MutableTree) -> Result<()> {
        let paths = read_paths(self.delete_from.as_deref(), "--delete-from")?;
        Ok(delete_paths(repo, tree, &paths)?)
    }
}

fn read_paths(file: Option<&Path>, option: &str) -> Result<Vec<String>> {
    match file {
        None => Ok(Vec::new()),
        Some(file) => split(&user_files::read_bytes(file)?, option),
    }
}

/// Paths are ended by NUL if there is one, so that they may contain newlines. Empty ones are
/// skipped, as in the other lists.
fn split(bytes: &[u8], option: &str) -> Result<Vec<String>> {
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    let paths = bytes.split(|byte| *byte == separator).filter(|path| !path.is_empty());
    let text = |path: &[u8]| {
        String::from_utf8(path.to_vec()).map_err(|_| {
            let path = path.escape_ascii();
            CliError::failed(format!("Invalid UTF-8 in a path of {option}: {path}"))
        })
    };
    paths.map(text).collect()
}

#[cfg(test)]
mod tests {
    /// Guards how lists are divided.
    #[test]
    fn lists_are_divided() {
        let split = |bytes: &[u8]| super::split(bytes, "--x");
        assert_eq!(split(b"a\n\nb c\n").expect("text"), ["a", "b c"]);
        assert_eq!(split(b"a\nb\0c\0").expect("text"), ["a\nb", "c"]);
        assert!(split(b"").expect("text").is_empty());
        let error = split(b"a\nb\xff\n").expect_err("not UTF-8").to_string();
        assert_eq!(error, "Invalid UTF-8 in a path of --x: b\\xff");
    }
}
