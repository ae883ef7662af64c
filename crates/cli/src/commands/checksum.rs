//! `checksum`: the content object a file would become.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::Dir;

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};

/// Arguments of `checksum`.
#[derive(Args, Debug)]
pub struct ChecksumArgs {
    /// File to look at
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Don't include xattrs in checksum
    #[arg(long)]
    ignore_xattrs: bool,
    /// Print the checksum as JSON
    #[arg(long)]
    json: bool,
}

const CHUNK: usize = 128 * 1024;

/// Runs `checksum`.
pub fn run(args: ChecksumArgs, cx: &Context) -> Result<()> {
    let path = args.path.as_deref().ok_or_else(|| CliError::failed("A filename must be given"))?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| CliError::failed(format!("{} names no file", path.display())))?;
    let dir = cx.fs.open_dir(parent)?;
    let checksum = checksum_of(&dir, Path::new(name), args.ignore_xattrs)?;
    if args.json { cx.ui.json(&checksum.to_hex()) } else { cx.ui.line(checksum) }
}

fn checksum_of(dir: &Dir, name: &Path, ignore_xattrs: bool) -> Result<Checksum> {
    let stat = dir.stat(name)?;
    let xattrs = match ignore_xattrs {
        true => Xattrs::default(),
        false => Xattrs::of_inode(dir.xattrs_of(name)?),
    };
    let symlink_target = match stat.is_symlink() {
        true => Some(String::from_utf8(dir.read_link(name)?)?),
        false => None,
    };
    let header =
        FileHeader { uid: stat.uid, gid: stat.gid, mode: stat.mode, symlink_target, xattrs };
    let mut hasher = header.hasher();
    if stat.is_file() {
        let mut file = dir.open_file(name)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = file.read(&mut chunk).context(format!("reading {}", name.display()))?;
            if n == 0 {
                break;
            }
            hasher.update(&chunk[..n]);
        }
    } else if !stat.is_symlink() {
        return Err(CliError::failed(format!("{} is no file", dir.path().join(name).display())));
    }
    Ok(hasher.finish())
}
