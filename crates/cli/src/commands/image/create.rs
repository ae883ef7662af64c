//! `image create`: from a commit to a bootable disk.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trefoil_format::name::RemoteName;
use trefoil_image::{
    Bootloader, CreateReport, CreateRequest, Filesystem, Format, LoaderFiles, Place, create,
};

use super::{clock, surroundings};
use crate::commands::admin::timings;
use crate::commands::demo::parse_size;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `image create`.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The new image; it must not be there yet
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// A ref or checksum in the repository --repo
    #[arg(value_name = "REF")]
    rev: Option<String>,
    /// Size of the disk
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "8G")]
    size: u64,
    /// Format of the file
    #[arg(long, value_name = "raw|qcow2", value_enum, default_value = "raw")]
    format: FormatWord,
    /// File system of the root
    #[arg(long, value_name = "ext4|xfs|btrfs", value_enum, default_value = "ext4")]
    filesystem: FilesystemWord,
    /// What starts the kernel; none leaves that to the virtual machine (see image kernel)
    #[arg(long, value_name = "none|systemd-boot|extlinux", default_value = "none")]
    bootloader: String,
    /// systemd-boot's program, instead of that in the tree or on this machine
    #[arg(long, value_name = "FILE")]
    systemd_boot: Option<PathBuf>,
    /// An ext4 driver for UEFI, instead of that in the tree or on this machine
    #[arg(long, value_name = "FILE")]
    efi_ext4: Option<PathBuf>,
    /// Append a kernel argument; root= and rw are added unless given
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Name of the stateroot
    #[arg(long, value_name = "OSNAME", alias = "stateroot", default_value = "default")]
    os: String,
    /// Add REMOTE to the ref that the deployment follows
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// Make a spare as well, so that the first update is fast too
    #[arg(long)]
    spare: bool,
    #[command(flatten)]
    told: ToldArgs,
}

/// What is told of the work.
#[derive(Args, Debug)]
pub struct ToldArgs {
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// Print a table of what each phase took
    #[arg(long)]
    pub timings: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatWord {
    Raw,
    Qcow2,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilesystemWord {
    Ext4,
    Xfs,
    Btrfs,
}

impl CreateArgs {
    fn format(&self) -> Format {
        match self.format {
            FormatWord::Raw => Format::Raw,
            FormatWord::Qcow2 => Format::Qcow2,
        }
    }

    fn filesystem(&self) -> Filesystem {
        match self.filesystem {
            FilesystemWord::Ext4 => Filesystem::Ext4,
            FilesystemWord::Xfs => Filesystem::Xfs,
            FilesystemWord::Btrfs => Filesystem::Btrfs,
        }
    }

    fn bootloader(&self) -> Result<Bootloader> {
        Ok(match self.bootloader.as_str() {
            "none" => Bootloader::None,
            "systemd-boot" => Bootloader::SystemdBoot,
            "extlinux" | "syslinux" => Bootloader::Extlinux,
            "grub" | "grub2" => return Err(CliError::not_yet("installing GRUB into an image")),
            other => {
                let text = format!("'{other}' is not one of none, systemd-boot, extlinux");
                return Err(CliError::failed(text));
            }
        })
    }
}

/// Runs `image create`.
pub fn run(args: CreateArgs, cx: &Context) -> Result<()> {
    let (Some(image), Some(rev)) = (&args.image, &args.rev) else {
        return Err(CliError::usage("IMAGE and REF must be specified"));
    };
    let bootloader = args.bootloader()?;
    let repo = cx.open_repo()?;
    let place = Place::open(&cx.fs, image)?;
    let request = CreateRequest {
        source: &repo,
        rev: rev.clone(),
        remote: args.remote.as_deref().map(RemoteName::new).transpose()?,
        size: args.size,
        format: args.format(),
        filesystem: args.filesystem(),
        bootloader,
        loader_files: LoaderFiles {
            systemd_boot: args.systemd_boot.clone(),
            efi_ext4: args.efi_ext4.clone(),
        },
        kargs: args.karg.clone(),
        os: args.os.clone(),
        spare: args.spare,
    };
    let progress = cx.progress("image");
    let report = create(&surroundings(cx), &place, &request, &clock())?;
    drop(progress);
    tell(&args, cx, &place, &report)
}

fn tell(args: &CreateArgs, cx: &Context, place: &Place, report: &CreateReport) -> Result<()> {
    if args.told.json {
        return cx.ui.json(report);
    }
    let (path, os, name) = (place.path(), &args.os, &report.deployment);
    cx.ui.line(format_args!("{}: {os}/{name} boots", path.display()))?;
    if args.told.timings {
        cx.ui.text(timings::table(&report.phases))?;
    }
    Ok(())
}
