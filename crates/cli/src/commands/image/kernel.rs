//! `image kernel`: what a virtual machine needs to boot an image without a boot loader.

use std::path::PathBuf;

use clap::Args;
use trefoil_image::export_boot_files;

use super::{existing, surroundings};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::user_files;

/// Arguments of `image kernel`.
#[derive(Args, Debug)]
pub struct KernelArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// Where vmlinuz and initramfs.img go, made if it is not there
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Print paths and arguments as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `image kernel`.
pub fn run(args: KernelArgs, cx: &Context) -> Result<()> {
    let (Some(image), Some(directory)) = (&args.image, &args.directory) else {
        return Err(CliError::usage("IMAGE and DIRECTORY must be specified"));
    };
    let place = existing(cx, image)?;
    user_files::make_dirs(directory)?;
    let files = export_boot_files(&surroundings(cx), &place, &cx.fs.open_dir(directory)?)?;
    if args.json { cx.ui.json(&files) } else { cx.ui.line(&files.cmdline) }
}
