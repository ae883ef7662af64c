//! The tree of a commit: directories and commits laid over one another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_repo::commit::{
    CommitIndex, CommitModifier, DevInoCache, Indexed, import_dir, import_tree,
};
use trefoil_repo::{MutableTree, Repo, Transaction, TreeId};

use super::attributes::{AttributeArgs, report_unmatched};
use super::tar::TarArgs;
use super::told::ToldArgs;
use crate::context::Context;
use crate::dates;
use crate::error::{CliError, Context as _, Result};

/// What goes into the tree, and how it is changed on the way.
#[derive(Args, Debug)]
pub struct TreeArgs {
    /// Start from the given commit as a base (no modifiers apply)
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Overlay the given argument as a tree
    #[arg(long, value_name = "dir=PATH or tar=TARFILE or ref=COMMIT")]
    tree: Vec<String>,
    #[command(flatten)]
    attributes: AttributeArgs,
    /// Optimize for commits of trees composed of hardlinks into the repository
    #[arg(long)]
    link_checkout_speedup: bool,
    /// Assume hardlinked objects are unmodified.  Implies --link-checkout-speedup
    #[arg(short = 'I', long)]
    devino_canonical: bool,
    /// Consume (delete) content after commit (for local directories)
    #[arg(long)]
    consume: bool,
    /// Read only files that changed since this directory was last committed: the default where
    /// one directory is the whole tree
    #[arg(long, overrides_with = "no_index")]
    index: bool,
    /// Read every file, and keep no index for the next commit
    #[arg(long, overrides_with = "index")]
    no_index: bool,
    #[command(flatten)]
    told: ToldArgs,
    #[command(flatten)]
    tar: TarArgs,
    /// Generate size information along with commit metadata (in archive repositories)
    #[arg(long)]
    pub generate_sizes: bool,
    #[arg(long, hide = true)]
    selinux_policy: Option<PathBuf>,
    #[arg(short = 'P', long, hide = true)]
    selinux_policy_from_base: bool,
    #[arg(long, hide = true)]
    selinux_labeling_epoch: Option<i64>,
}

impl TreeArgs {
    /// Refuses what makes no sense or is not there yet, before anything is touched.
    pub fn check(&self, path: Option<&Path>) -> Result<()> {
        self.attributes.check()?;
        if self.selinux_policy.is_some() || self.selinux_policy_from_base {
            return Err(CliError::not_yet("SELinux labelling"));
        }
        self.tree.iter().try_for_each(|spec| parse(spec).map(drop))?;
        let archive = |spec: &String| matches!(parse(spec), Ok(Source::Tar(_)));
        self.tar.check(self.tree.iter().any(archive))?;
        self.told_dir(path).map(drop)
    }

    /// The directory, where it alone makes the tree and is still there afterwards.
    fn only_dir<'a>(&'a self, path: Option<&'a Path>) -> Result<Option<&'a Path>> {
        // Sizes are those of every object: nothing may be passed over unseen.
        if self.base.is_some() || self.consume || self.generate_sizes || self.told.is_any() {
            return Ok(None);
        }
        match self.tree.as_slice() {
            [] => Ok(Some(path.unwrap_or(Path::new(".")))),
            [spec] => Ok(match parse(spec)? {
                Source::Dir(path) => Some(path),
                Source::Tar(_) | Source::Ref(_) => None,
            }),
            _ => Ok(None),
        }
    }

    /// The directory in which the paths of `--changed-from` are, if that was given.
    ///
    /// It has to be named: in a directory taken by mistake nothing that was told exists, and
    /// all of it would vanish from the commit.
    fn told_dir<'a>(&'a self, path: Option<&'a Path>) -> Result<Option<&'a Path>> {
        if !self.told.is_incremental() {
            return Ok(None);
        }
        let others = [
            (self.consume, "--consume"),
            (self.index, "--index"),
            (self.generate_sizes, "--generate-sizes"),
        ];
        self.told.refuse_with(&others)?;
        let only = match self.tree.as_slice() {
            [] => path,
            [spec] => match parse(spec)? {
                Source::Dir(path) => Some(path),
                Source::Tar(_) | Source::Ref(_) => None,
            },
            _ => None,
        };
        let text = "--changed-from wants exactly one directory, as PATH or --tree=dir=PATH";
        only.map(Some).ok_or_else(|| CliError::failed(text))
    }

    /// Writes the tree into the transaction. `parent` is the commit before.
    pub fn import(
        &self,
        cx: &Context,
        transaction: &Transaction<'_>,
        path: Option<&Path>,
        parent: Option<&Checksum>,
    ) -> Result<Imported> {
        let repo = transaction.repo();
        let modifier = self.modifier(repo)?;
        if let Some(path) = self.told_dir(path)? {
            let base = self.base.as_deref().map(|rev| repo.resolve_rev(rev)).transpose()?;
            let dir = cx.fs.open_dir(path)?;
            let base = base.as_ref().or(parent);
            let tree = self.told.import(cx, transaction, &dir, base, &modifier)?;
            return Ok(Imported { tree, indexed: None });
        }
        match self.only_dir(path)? {
            Some(path) if !self.no_index => {
                let imported = import_indexed(cx, transaction, path, &modifier)?;
                report_unmatched(cx, &modifier)?;
                return Ok(imported);
            }
            None if self.index => {
                return Err(CliError::failed(
                    "--index is for a tree that is one directory, without --base, --consume, \
                     --generate-sizes, --whiteouts and --delete-from",
                ));
            }
            _ => {}
        }
        let mut tree = match &self.base {
            None => MutableTree::new(),
            Some(rev) => MutableTree::from_tree(commit_tree(repo, rev)?),
        };
        if self.tree.is_empty() {
            let path = path.unwrap_or(Path::new("."));
            self.begin_sizes(transaction);
            import_path(cx, transaction, path, &mut tree, &modifier)?;
        }
        for spec in &self.tree {
            self.begin_sizes(transaction);
            match parse(spec)? {
                Source::Dir(path) => import_path(cx, transaction, path, &mut tree, &modifier)?,
                Source::Tar(path) => self.tar.import(transaction, path, &mut tree, &modifier)?,
                Source::Ref(rev) => {
                    let source = commit_tree(repo, rev)?;
                    import_tree(transaction, source, &mut tree, &modifier)?;
                }
            }
        }
        report_unmatched(cx, &modifier)?;
        self.told.delete(repo, &mut tree)?;
        Ok(Imported { tree: tree.write(transaction)?, indexed: None })
    }

    fn begin_sizes(&self, transaction: &Transaction<'_>) {
        if self.generate_sizes {
            transaction.begin_sizes();
        }
    }

    fn modifier(&self, repo: &Repo) -> Result<CommitModifier> {
        let devino = match self.link_checkout_speedup || self.devino_canonical {
            true => Some(Arc::new(DevInoCache::scan(repo)?)),
            false => None,
        };
        Ok(CommitModifier {
            consume: self.consume,
            whiteouts: self.told.whiteouts,
            devino,
            devino_canonical: self.devino_canonical,
            ..self.attributes.modifier()?
        })
    }
}

/// A tree in the transaction.
pub struct Imported {
    /// What it is.
    pub tree: TreeId,
    indexed: Option<Indexed>,
}

impl Imported {
    /// Keeps the index for the next time, once the commit is there. A commit that is made is
    /// not failed for it.
    pub fn save_index(self, cx: &Context, repo: &Repo) -> Result<()> {
        match self.indexed.map(|indexed| indexed.save(repo)) {
            Some(Err(e)) => cx.ui.words(format_args!("warning: the index was not kept: {e}")),
            _ => Ok(()),
        }
    }
}

enum Source<'a> {
    Dir(&'a Path),
    Tar(&'a Path),
    Ref(&'a str),
}

fn parse(spec: &str) -> Result<Source<'_>> {
    match spec.split_once('=') {
        Some(("dir", path)) => Ok(Source::Dir(Path::new(path))),
        Some(("ref", rev)) => Ok(Source::Ref(rev)),
        Some(("tar", path)) => Ok(Source::Tar(Path::new(path))),
        Some((kind, _)) => {
            Err(CliError::failed(format!("Invalid tree type specification '{kind}'")))
        }
        None => Err(CliError::failed(format!("Missing type in tree specification '{spec}'"))),
    }
}

fn commit_tree(repo: &Repo, rev: &str) -> Result<TreeId> {
    Ok(TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(rev)?)?))
}

fn import_indexed(
    cx: &Context,
    transaction: &Transaction<'_>,
    path: &Path,
    modifier: &CommitModifier,
) -> Result<Imported> {
    let dir = cx.fs.open_dir(path)?;
    let index = CommitIndex::open(transaction.repo(), &dir, modifier, dates::file_time())?;
    if let Some(why) = index.ignored() {
        cx.ui.words(format_args!("the index of {} is ignored: {why}", path.display()))?;
    }
    let indexed = index.import(transaction, &dir, modifier)?;
    Ok(Imported { tree: indexed.tree, indexed: Some(indexed) })
}

fn import_path(
    cx: &Context,
    transaction: &Transaction<'_>,
    path: &Path,
    tree: &mut MutableTree,
    modifier: &CommitModifier,
) -> Result<()> {
    let dir = cx.fs.open_dir(path)?;
    import_dir(transaction, &dir, tree, modifier)?;
    if modifier.consume && !transaction.is_rehearsal() && path != Path::new(".") {
        drop(dir);
        std::fs::remove_dir(path).context(format!("removing {}", path.display()))?;
    }
    Ok(())
}
