use trefoil_fsat::Dir;

use super::{Bootloader, grub2, stamped};
use crate::error::During;
use crate::{Deployment, Result, Sysroot, SysrootError};

/// Largest file of a boot loader we read.
const LIMIT: u64 = 4 << 20;
const SYSLINUX: &str = "syslinux.cfg";
const UBOOT: &str = "uEnv.txt";

/// Writes what the boot loader reads besides the entries into `loader.MAJOR`; it becomes
/// active with them. Nothing is synced.
pub(super) fn write(
    sysroot: &Sysroot,
    bootloader: Bootloader,
    major: u8,
    list: &[Deployment],
) -> Result<()> {
    let boot = sysroot.boot()?;
    let step = || "Bootloader write config".to_string();
    let (name, lines) = match bootloader {
        Bootloader::Syslinux => (SYSLINUX, syslinux_lines(sysroot, boot, list)?),
        Bootloader::Uboot => (UBOOT, uboot_lines(sysroot, list)?),
        Bootloader::Grub2 => return grub2::write(sysroot, major).during(step),
        Bootloader::Zipl | Bootloader::Aboot => return stamped::write(boot).during(step),
    };
    let dir = boot.open_dir(format!("loader.{major}"))?;
    dir.write(name, join(&lines).as_bytes(), 0o644).during(step)
}

/// One line each; of empty ones only the first, and none at the head.
fn join(lines: &[String]) -> String {
    let mut seen_empty = false;
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        if line.is_empty() && (seen_empty || at == 0) {
            continue;
        }
        seen_empty |= line.is_empty();
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn required<'a>(deployment: &'a Deployment, key: &str) -> Result<&'a str> {
    let missing = || SysrootError::State(format!("No \"{key}\" key in bootloader config"));
    deployment.entry.get(key).ok_or_else(missing)
}

/// The configuration in use without the systems of ours, then our entries.
fn syslinux_lines(sysroot: &Sysroot, boot: &Dir, list: &[Deployment]) -> Result<Vec<String>> {
    let path = "syslinux/syslinux.cfg";
    let Some(bytes) = boot.read_beneath_opt(path, LIMIT)? else {
        return Err(SysrootError::State(format!("boot/{path} does not exist")));
    };
    let (mut lines, own_default) = foreign_lines(&String::from_utf8_lossy(&bytes))?;
    let prefix = if sysroot.settings().bootprefix { "" } else { "/boot" };
    for (at, deployment) in list.iter().enumerate() {
        let entry = &deployment.entry;
        let title = entry.get("title").unwrap_or("(Untitled)");
        if own_default && at == 0 {
            lines.push(format!("DEFAULT {title}"));
        }
        lines.push(format!("LABEL {title}"));
        lines.push(format!("\tKERNEL {prefix}{}", required(deployment, "linux")?));
        for (word, key) in [("INITRD", "initrd"), ("DEVICETREE", "devicetree")] {
            lines.extend(entry.get(key).map(|path| format!("\t{word} {prefix}{path}")));
        }
        lines.extend(entry.get("options").map(|options| format!("\tAPPEND {options}")));
    }
    Ok(lines)
}

/// All lines but the default and the labels that boot a kernel of ours; and whether the
/// default is ours to name: it was, or there was none.
pub(crate) fn foreign_lines(text: &str) -> Result<(Vec<String>, bool)> {
    let (mut kept, mut default_seen, mut default_ours) = (Vec::new(), false, false);
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("LABEL ") {
            let mut block = vec![line.to_string()];
            while let Some(more) = lines.next_if(|l| l.starts_with('\t')) {
                block.push(more.to_string());
            }
            let kernel = block.iter().rev().find_map(|l| l.strip_prefix("\tKERNEL "));
            let Some(kernel) = kernel else {
                return Err(SysrootError::State("No KERNEL argument found after LABEL".into()));
            };
            if !kernel.starts_with("/ostree/") && !kernel.starts_with("/boot/ostree/") {
                kept.append(&mut block);
            }
        } else if let Some(title) = line.strip_prefix("DEFAULT ") {
            default_seen = true;
            default_ours |= title.starts_with("ostree:") || title.contains("(ostree");
        } else {
            kept.push(line.to_string());
        }
    }
    Ok((kept, default_ours || !default_seen))
}

fn uboot_lines(sysroot: &Sysroot, list: &[Deployment]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (at, deployment) in list.iter().enumerate() {
        let suffix = if at == 0 { String::new() } else { (at + 1).to_string() };
        lines.push(format!("kernel_image{suffix}=/boot{}", required(deployment, "linux")?));
        let paths = [("ramdisk_image", "initrd"), ("fdt_file", "devicetree"), ("fdtdir", "fdtdir")];
        for (word, key) in paths {
            let path = deployment.entry.get(key);
            lines.extend(path.map(|path| format!("{word}{suffix}=/boot{path}")));
        }
        lines.push(format!("bootargs{suffix}={}", required(deployment, "options")?));
        if at == 0 {
            let tree = sysroot.dir().open_dir(deployment.path())?;
            let system = tree.read_beneath_opt("usr/lib/ostree-boot/uEnv.txt", LIMIT)?;
            lines.extend(system.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: what an administrator wrote into syslinux.cfg survives, ours is made anew.
    #[test]
    fn syslinux_keeps_foreign_lines() {
        let text = "PROMPT 1\n\n\nDEFAULT x (ostree:0)\nLABEL x (ostree:0)\n\tKERNEL /boot/ostree/a\n\
                    LABEL windows\n\tKERNEL /w\n\tAPPEND y\n";
        let (lines, own_default) = foreign_lines(text).expect("well formed");
        assert!(own_default);
        assert_eq!(join(&lines), "PROMPT 1\n\nLABEL windows\n\tKERNEL /w\n\tAPPEND y\n");
        let (_, own_default) = foreign_lines("DEFAULT windows\n").expect("well formed");
        assert!(!own_default);
        assert!(foreign_lines("LABEL x\nLABEL y\n").is_err());
    }
}
