//! `ls`: what lies in the tree of a commit.

use clap::Args;
use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Type, Value};
use trefoil_format::xattrs::Xattrs;
use trefoil_repo::{Repo, TreeEntry, TreeId};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::object_tree;

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// Commit or ref, then paths in its tree
    #[arg(value_name = "COMMIT [PATH...]")]
    arguments: Vec<String>,
    /// Do not recurse into directory arguments
    #[arg(short, long)]
    dironly: bool,
    /// Print directories recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print checksum
    #[arg(short = 'C', long)]
    checksum: bool,
    /// Print extended attributes
    #[arg(short = 'X', long)]
    xattrs: bool,
    /// Print only filenames, NUL separated
    #[arg(long)]
    nul_filenames_only: bool,
    /// Print the entries as JSON
    #[arg(long)]
    json: bool,
}

/// One entry.
#[derive(Debug, Serialize)]
struct EntryView {
    path: String,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    /// The content object of a file, or the dirmeta of a directory.
    checksum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dirtree: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// GVariant text.
    xattrs: String,
}

const TYPE_BITS: u32 = 0o170_000;

impl EntryView {
    fn dir(repo: &Repo, path: &str, dir: &TreeId) -> Result<Self> {
        let meta = repo.load_dirmeta(&dir.meta)?;
        Ok(EntryView {
            path: path.to_string(),
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            size: 0,
            checksum: dir.meta.to_hex(),
            dirtree: Some(dir.tree.to_hex()),
            target: None,
            xattrs: xattr_text(&meta.xattrs)?,
        })
    }

    fn file(repo: &Repo, path: &str, checksum: &Checksum) -> Result<Self> {
        let file = repo.load_file(checksum)?;
        Ok(EntryView {
            path: path.to_string(),
            mode: file.header.mode,
            uid: file.header.uid,
            gid: file.header.gid,
            size: file.size,
            checksum: checksum.to_hex(),
            dirtree: None,
            target: file.header.symlink_target.clone(),
            xattrs: xattr_text(&file.header.xattrs)?,
        })
    }

    fn text(&self, args: &LsArgs) -> String {
        if args.nul_filenames_only {
            return format!("{}\0", self.path);
        }
        let kind = match (&self.dirtree, &self.target) {
            (Some(_), _) => 'd',
            (None, Some(_)) => 'l',
            (None, None) => '-',
        };
        let mode = self.mode & !TYPE_BITS;
        let mut out = format!("{kind}0{mode:04o} {} {} {:>6} ", self.uid, self.gid, self.size);
        if args.checksum {
            let dirtree = self.dirtree.iter().map(|tree| format!("{tree} "));
            out.extend(dirtree);
            out.push_str(&format!("{} ", self.checksum));
        }
        if args.xattrs {
            out.push_str(&format!("{{ {} }} ", self.xattrs));
        }
        out.push_str(&self.path);
        if let Some(target) = &self.target {
            out.push_str(&format!(" -> {target}"));
        }
        out.push('\n');
        out
    }
}

/// Extended attributes in GVariant's text form, as `ostree` prints them.
pub fn xattr_text(xattrs: &Xattrs) -> Result<String> {
    let ty: Type = "a(ayay)".parse()?;
    Ok(Value::parse(&ty, &xattrs.to_bytes())?.print(true))
}

/// Runs `ls`.
pub fn run(args: LsArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let [commit, paths @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("An COMMIT argument is required"));
    };
    let root = object_tree::root(&repo, commit)?;
    let mut lister = Lister { repo: &repo, root, args: &args, cx, json: Vec::new() };
    if paths.is_empty() {
        lister.argument("/")?;
    }
    for path in paths {
        lister.argument(path).context(format!("Inspecting path '{path}'"))?;
    }
    if args.json { cx.ui.json(&lister.json) } else { Ok(()) }
}

struct Lister<'a> {
    repo: &'a Repo,
    root: TreeId,
    args: &'a LsArgs,
    cx: &'a Context,
    json: Vec<EntryView>,
}

impl Lister<'_> {
    fn argument(&mut self, path: &str) -> Result<()> {
        let absolute = object_tree::absolute(path);
        match object_tree::lookup(self.repo, self.root, path)? {
            TreeEntry::File(checksum) => {
                self.emit(EntryView::file(self.repo, &absolute, &checksum)?)
            }
            TreeEntry::Dir(dir) => {
                self.emit(EntryView::dir(self.repo, &absolute, &dir)?)?;
                if self.args.dironly && !self.args.recursive {
                    return Ok(());
                }
                self.children(&absolute, &dir)
            }
        }
    }

    fn children(&mut self, path: &str, dir: &TreeId) -> Result<()> {
        let entries = self.repo.load_dirtree(&dir.tree)?;
        let base = path.trim_end_matches('/');
        for file in &entries.files {
            let path = format!("{base}/{}", file.name.as_str());
            self.emit(EntryView::file(self.repo, &path, &file.checksum)?)?;
        }
        for sub in &entries.dirs {
            let path = format!("{base}/{}", sub.name.as_str());
            let id = TreeId { tree: sub.tree, meta: sub.meta };
            self.emit(EntryView::dir(self.repo, &path, &id)?)?;
            if self.args.recursive {
                self.children(&path, &id)?;
            }
        }
        Ok(())
    }

    fn emit(&mut self, view: EntryView) -> Result<()> {
        if self.args.json {
            self.json.push(view);
            return Ok(());
        }
        self.cx.ui.text(view.text(self.args))
    }
}
