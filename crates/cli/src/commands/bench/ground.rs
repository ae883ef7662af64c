//! Where commits, pulls and deltas are measured: a tree, and room beside it.

use std::path::PathBuf;

use clap::Args;
use trefoil_fsat::{Dir, Fs};

use super::disk::Image;
use super::tree;
use crate::commands::demo::parse_size;
use crate::commands::lab::scan::{Scan, spread};
use crate::commands::lab::scratch::Scratch;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Which tree, and where.
#[derive(Args, Debug)]
pub struct GroundArgs {
    #[command(flatten)]
    recipe: tree::Recipe,
    /// Where everything is made
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Work on an ext4 image of this size, mounted by a loop device (needs root)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    image: Option<u64>,
}

/// A place with the directory `tree` in it.
pub struct Ground {
    /// Its path.
    pub place: PathBuf,
    /// Its handle.
    pub dir: Dir,
    /// Files of the tree that may be changed, relative to its `usr`, far apart from each other.
    pub files: Vec<String>,
    /// Entries of the tree.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// To be dropped after everything that works there.
    pub held: Held,
}

/// Goes with the place: unmounts and removes it.
pub struct Held {
    _image: Option<Image>,
    _scratch: Scratch,
}

impl Ground {
    /// Makes the tree. The repositories will be in mode `bare`, which needs root.
    pub fn make(args: &GroundArgs, cx: &Context) -> Result<Ground> {
        let scratch = Scratch::create(&args.dir, "trefoil-bench", false)?;
        if scratch.owner.0 != 0 {
            return Err(CliError::Advised(
                "bench works on repositories in mode bare, which needs root".into(),
                "run it as root",
            ));
        }
        let image =
            args.image.map(|size| Image::mount(&scratch.path(), size, &cx.ui)).transpose()?;
        let place = image.as_ref().map_or(scratch.path(), |image| image.path().to_path_buf());
        let dir = Fs::new().open_dir(&place)?;
        cx.ui.words("making the tree")?;
        tree::make(&args.recipe, &dir)?;
        let scan = Scan::of(&dir.open_dir("tree/usr")?, &|_, _| true)?;
        Ok(Ground {
            place,
            dir,
            files: spread(scan.editable()),
            entries: scan.entries(),
            bytes: scan.bytes(),
            held: Held { _image: image, _scratch: scratch },
        })
    }
}
