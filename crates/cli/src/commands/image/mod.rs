//! `image`: bootable disk images, a file per verb.

mod create;
mod kernel;
mod prepare;
mod rollback;
mod status;
mod update;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use trefoil_image::{Place, Surroundings};
use trefoil_sysroot::SysrootOptions;

use crate::context::Context;
use crate::environment;
use crate::error::{CliError, Context as _, Result};

/// Arguments of `image`.
#[derive(Args, Debug)]
pub struct ImageArgs {
    #[command(subcommand)]
    verb: Option<ImageVerb>,
}

#[derive(Subcommand, Debug)]
enum ImageVerb {
    /// Make a bootable disk image from a commit
    Create(create::CreateArgs),
    /// Write kernel and initramfs of an image to DIRECTORY and print its kernel arguments
    Kernel(kernel::KernelArgs),
    /// Make the spare of the next update ahead of it
    Prepare(prepare::PrepareArgs),
    /// Make the deployment before the one that boots the default, or put the snapshot back
    Rollback(rollback::RollbackArgs),
    /// Tell what an image holds
    Status(status::StatusArgs),
    /// Bring an image to a commit, in place
    Update(update::UpdateArgs),
}

/// Runs `image`.
pub fn run(args: ImageArgs, cx: &Context) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"image\" subcommand specified")),
        Some(ImageVerb::Create(args)) => create::run(args, cx),
        Some(ImageVerb::Kernel(args)) => kernel::run(args, cx),
        Some(ImageVerb::Prepare(args)) => prepare::run(args, cx),
        Some(ImageVerb::Rollback(args)) => rollback::run(args, cx),
        Some(ImageVerb::Status(args)) => status::run(args, cx),
        Some(ImageVerb::Update(args)) => update::run(args, cx),
    }
}

/// What the library is told of the surroundings.
fn surroundings(cx: &Context) -> Surroundings {
    let debug = |flag| environment::has_flag("OSTREE_SYSROOT_DEBUG", flag);
    let sysroot = SysrootOptions {
        mutable_deployments: debug("mutable-deployments"),
        no_dtb: debug("no-dtb"),
        no_xattrs: debug("no-xattrs"),
        bootloader_naming_1: environment::has_flag("OSTREE_SYSROOT_OPTS", "bootloader-naming-1"),
        boot_id: environment::boot_id(),
        ..SysrootOptions::default()
    };
    Surroundings { fs: cx.fs.clone(), sysroot }
}

/// An image that is there, symbolic links resolved.
fn existing(cx: &Context, path: &Path) -> Result<Place> {
    let path: PathBuf = path.canonicalize().context(format!("opening image {}", path.display()))?;
    Ok(Place::open(&cx.fs, &path)?)
}

fn clock() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}
