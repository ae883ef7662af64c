//! `grub.cfg`, by a program of the system: GRUB 2 is the one boot loader whose configuration
//! libostree does not write itself.

use std::path::Path;
use std::process::Command;

use trefoil_format::loader_entry::LoaderEntry;
use trefoil_fsat::{Dir, FileKind};

use super::bootloader::efi_config_dir;
use crate::error::During;
use crate::{Result, Sysroot, SysrootError};

const CONFIG: &str = "grub.cfg";
/// What goes into `grub.cfg` for these entries, for a script of grub2-mkconfig; `device` is
/// GRUB's name of the device of `/boot`, `prepare` its words to find it. In the words of a GRUB
/// that needs no others for EFI, as libostree's own when built for a modern one.
///
/// # Errors
/// An entry without a kernel.
pub fn grub2_config<'a>(
    entries: impl IntoIterator<Item = &'a LoaderEntry>,
    device: &str,
    prepare: &str,
) -> Result<String> {
    let mut text = String::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let title = quote(entry.get("title").unwrap_or("(Untitled)"));
        let id = quote(&format!("ostree-{at}-{device}"));
        let kernel = entry.get("linux").ok_or_else(|| {
            SysrootError::State("No \"linux\" key in bootloader config".to_string())
        })?;
        text.push_str(&format!(
            "menuentry {title} --class gnu-linux --class gnu --class os --unrestricted {id} {{\n\
             load_video\nset gfxpayload=keep\ninsmod gzio\n{prepare}\n"
        ));
        let options = entry.get("options").map(|o| format!(" {o}")).unwrap_or_default();
        text.push_str(&format!("linux {kernel}{options}\n"));
        if let Some(initrd) = entry.get("initrd") {
            text.push_str(&format!("initrd {initrd}\n"));
        }
        if let Some(devicetree) = entry.get("devicetree") {
            text.push_str(&format!("devicetree {devicetree}\n"));
        }
        text.push_str("}\n");
    }
    Ok(text)
}

/// For a shell, which GRUB's language is one.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whether `program` is the generator of GRUB itself, which looks at the running system.
fn is_mkconfig(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "grub2-mkconfig" || name == "grub-mkconfig")
}

fn is_there(sysroot: &Sysroot, program: &Path) -> bool {
    let (Some(dir), Some(name)) = (program.parent(), program.file_name()) else { return false };
    sysroot.fs().open_dir(dir).and_then(|dir| dir.exists(name)).unwrap_or(false)
}

/// The program that writes the configuration of this sysroot.
///
/// # Errors
/// There is none, or it would write that of another system than this.
pub(super) fn program(sysroot: &Sysroot) -> Result<&Path> {
    let found = match sysroot.options().programs.grub2.as_slice() {
        // Named by somebody: if it is not there, calling it says so.
        [named] => Some(named),
        places => places.iter().find(|place| is_there(sysroot, place)),
    };
    let Some(program) = found else {
        return Err(SysrootError::Refused(
            "boot loader grub2 needs grub2-mkconfig or OSTREE_GRUB2_EXEC, neither is there; \
             nothing was changed"
                .into(),
        ));
    };
    if is_mkconfig(program) && sysroot.booted().is_none() && !sysroot.is_running_root() {
        return Err(SysrootError::Refused(format!(
            "boot loader grub2: {} writes for the running system, and running it inside the \
             deployment is not supported yet: set OSTREE_GRUB2_EXEC, or sysroot.bootloader \
             to none where GRUB reads the entries itself; nothing was changed",
            program.display()
        )));
    }
    Ok(program)
}

/// Has the configuration written for the entries in `loader.MAJOR`. Below an EFI system
/// partition, which has no links, it becomes active at once.
pub(super) fn write(sysroot: &Sysroot, major: u8) -> Result<()> {
    let boot = sysroot.boot()?;
    match efi_config_dir(sysroot)? {
        None => {
            let dir = boot.open_dir(format!("loader.{major}"))?;
            generate(sysroot, major, false, &dir, CONFIG)
        }
        Some(path) => {
            let dir = boot.open_dir(path)?;
            dir.unlink_opt("grub.cfg.new")?;
            generate(sysroot, major, true, &dir, "grub.cfg.new")?;
            // GRUB boots the new list from here on: what it leads to must be there. libostree
            // syncs only later.
            sysroot.sync_all()?;
            replace_on_fat(&dir)
        }
    }
}

fn generate(sysroot: &Sysroot, major: u8, efi: bool, dir: &Dir, name: &str) -> Result<()> {
    let path = dir.path().join(name);
    let path = std::path::absolute(&path)
        .map_err(|e| SysrootError::State(format!("{}: {e}", path.display())))?;
    let mut command = Command::new(program(sysroot)?);
    command.arg("-o").arg(&path).env("_OSTREE_GRUB2_BOOTVERSION", major.to_string());
    if efi {
        command.env("_OSTREE_GRUB2_IS_EFI", "1");
    }
    sysroot.options().programs.run(&mut command)?;
    let file = dir.open_file(name).during(|| "Reading what was generated".into())?;
    Ok(file.sync()?)
}

/// The old configuration stays as `grub.cfg.old`. The rename is durable on return: nobody else
/// syncs the EFI system partition, and what the old configuration leads to is about to go.
///
/// Linux's FAT replaces a file by writing one entry of the directory, and gives the clusters of the
/// old one free when nobody has it open any more; without a journal either may reach the disk
/// first. So the old file is held until its entry is gone from there.
fn replace_on_fat(dir: &Dir) -> Result<()> {
    dir.unlink_opt("grub.cfg.old")?;
    let copy = dir.create_file("grub.cfg.old", 0o644)?;
    let old = dir.open_file(CONFIG)?;
    copy.copy_from(&old)?;
    copy.sync()?;
    dir.rename("grub.cfg.new", dir, CONFIG)?;
    dir.sync_fs()?;
    drop(old);
    Ok(())
}

/// The directory in `boot/efi/EFI` that has a `grub.cfg`, the fallback loader's not counted.
pub(super) fn find_efi_dir(boot: &Dir) -> Result<Option<String>> {
    let Some(efi) = boot.open_dir_opt("efi/EFI")? else { return Ok(None) };
    for entry in efi.sorted_entries()?.into_iter().filter(|e| e.kind == FileKind::Directory) {
        let Some(name) = entry.name.to_str() else { continue };
        // `BOOT` holds the fallback loader of any system.
        if name != "BOOT" && efi.exists(format!("{name}/{CONFIG}"))? {
            return Ok(Some(format!("efi/EFI/{name}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use trefoil_fsat::{Fault, FaultKind, Fs, Op};

    use super::*;

    /// Guards: wherever the replacing on an EFI system partition ends, GRUB has the old
    /// configuration or the new one; and it is synced last. What becomes of it on FAT is tried by
    /// `trust power-cut --fs esp-fat`.
    #[test]
    fn there_always_is_a_configuration() {
        let scratch = tempfile::tempdir().expect("a directory");
        let write = |name: &str| {
            let dir = Fs::new().open_dir(scratch.path()).expect("it is there");
            dir.write(name, name.as_bytes(), 0o644).expect("it is ours");
        };
        let read = || {
            let dir = Fs::new().open_dir(scratch.path()).expect("it is there");
            String::from_utf8(dir.read(CONFIG, 100).expect("there is one")).expect("it is text")
        };
        for at in 1.. {
            ["grub.cfg", "grub.cfg.new", "grub.cfg.old"].iter().for_each(|name| write(name));
            let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
            let dir = fs.open_dir(scratch.path()).expect("it is there");
            let done = replace_on_fat(&dir);
            assert!(["grub.cfg", "grub.cfg.new"].contains(&read().as_str()), "dying at {at}");
            if done.is_ok() {
                assert_eq!(read(), "grub.cfg.new");
                assert_eq!(fs.counters().syncfs, 1);
                return;
            }
            let (op, _) = fs.struck().expect("it died of it");
            assert!(op == Op::SyncFs || read() == "grub.cfg", "{op:?} came after the rename");
        }
    }

    /// Guards: what a script of grub2-mkconfig gets for two entries, title quoted for a shell.
    #[test]
    fn entries_become_menu_entries() {
        let full = LoaderEntry::parse(
            "title It's (ostree:0)\nversion 2\noptions a=b ostree=/x\nlinux /ostree/v\ninitrd /ostree/i\n\
             devicetree /ostree/d\n",
        );
        let bare = LoaderEntry::parse("linux /ostree/w\n");
        let text = grub2_config([&full, &bare], "dev-1", "search x").expect("kernels");
        let head = "menuentry 'It'\\''s (ostree:0)' --class gnu-linux --class gnu --class os \
                    --unrestricted 'ostree-0-dev-1' {\n";
        assert!(text.starts_with(head), "{text}");
        let body =
            "search x\nlinux /ostree/v a=b ostree=/x\ninitrd /ostree/i\ndevicetree /ostree/d\n}\n";
        assert!(text.contains(body), "{text}");
        assert!(text.ends_with("\nlinux /ostree/w\n}\n"), "{text}");
        let none = LoaderEntry::parse("title x\n");
        assert!(grub2_config([&none], "d", "p").is_err());
    }
}
