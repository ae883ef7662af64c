use trefoil_format::kargs::KernelArgs;
use trefoil_format::loader_entry::{LoaderEntry, LoaderEntryName};
use trefoil_fsat::{Dir, FileKind};

use super::os_release;
use crate::error::During;
use crate::kernel::{DeviceTree, KernelLayout};
use crate::{Deployment, Result, Sysroot};

const DIR_MODE: u32 = 0o775;

/// What all entries of one list have in common.
pub(super) struct Batch<'a> {
    pub(super) sysroot: &'a Sysroot,
    /// The major version the entries are written for.
    pub(super) major: u8,
    /// How many deployments the list has.
    pub(super) count: usize,
    /// Titles name the stateroot: there are several.
    pub(super) show_stateroot: bool,
}

/// Bytes of `layout` that are not in `/boot` yet.
pub(crate) fn missing_bytes(boot: &Dir, stateroot: &str, layout: &KernelLayout) -> Result<u64> {
    let dir = format!("ostree/{stateroot}-{}", layout.bootcsum);
    let Some(dir) = boot.open_dir_opt(&dir)? else { return Ok(layout.size()) };
    let mut missing = layout.size();
    for file in layout.files() {
        if dir.exists(&file.name)? {
            missing -= file.size;
        }
    }
    Ok(missing)
}

/// Puts the kernel of `deployment` and what belongs to it into `/boot`, as far as it is not
/// there. Nothing is synced.
pub(crate) fn install_kernel(
    sysroot: &Sysroot,
    deployment: &Deployment,
    layout: &KernelLayout,
) -> Result<()> {
    let boot = sysroot.boot()?;
    let path = boot_path(deployment);
    boot.ensure_dirs(&path, DIR_MODE)?;
    let tree = sysroot.dir().open_dir(deployment.path())?;
    install_files(&tree, &boot.open_dir(&path)?, layout)
}

/// Path below `/boot` of the kernel of a deployment.
fn boot_path(deployment: &Deployment) -> String {
    format!("ostree/{}-{}", deployment.stateroot, deployment.bootcsum)
}

impl Batch<'_> {
    /// Puts the kernel of `deployment` into `/boot` where it is not there yet, completes its
    /// entry and writes it. Nothing is synced.
    ///
    /// `layout` is asked for only where the entry does not name a kernel that is in place.
    pub(super) fn install(
        &self,
        deployment: &mut Deployment,
        layout: impl FnOnce(&Deployment) -> Result<KernelLayout>,
    ) -> Result<()> {
        let step = || "Installing kernel".to_string();
        let boot = self.sysroot.boot()?;
        let path = boot_path(deployment);
        if self.is_in_place(boot, deployment, &path)? {
            self.rebase(&mut deployment.entry);
        } else {
            let layout = layout(deployment)?;
            install_kernel(self.sysroot, deployment, &layout).during(step)?;
            self.name_kernel(&mut deployment.entry, &path, &layout);
            if let Some(aboot) = &layout.aboot {
                deployment.entry.set("aboot", &format!("/{path}/{}", aboot.name));
                let config = format!("/{}/usr/lib/ostree-boot/aboot.cfg", deployment.path());
                deployment.entry.set("abootcfg", &config);
            }
        }
        self.complete(deployment).during(step)?;
        self.write(boot, deployment)
    }

    /// Whether the entry names a kernel of its bootcsum that exists. What was installed with
    /// it then exists too: files come there by rename or link, the kernel last. Device trees
    /// that were left out then (`no-dtb`) are made up for, as libostree does.
    fn is_in_place(&self, boot: &Dir, deployment: &Deployment, path: &str) -> Result<bool> {
        let Some(linux) = deployment.entry.get("linux") else { return Ok(false) };
        let Some(below) = below_ostree(linux) else { return Ok(false) };
        let kernel = format!("ostree/{below}");
        Ok(kernel.starts_with(&format!("{path}/"))
            && boot.exists(&kernel)?
            && !self.lacks_device_tree(deployment, &kernel)?)
    }

    /// Whether the tree has device trees next to its kernel that the entry does not name.
    fn lacks_device_tree(&self, deployment: &Deployment, kernel: &str) -> Result<bool> {
        let entry = &deployment.entry;
        let named = ["devicetree", "fdtdir"].iter().any(|key| entry.get(key).is_some());
        if named || self.sysroot.options().no_dtb {
            return Ok(false);
        }
        let Some((_, version)) = kernel.rsplit_once("/vmlinuz-") else { return Ok(false) };
        let modules = format!("{}/usr/lib/modules/{version}", deployment.path());
        let root = self.sysroot.dir();
        Ok(root.exists(format!("{modules}/dtb"))?
            || root.exists(format!("{modules}/devicetree"))?)
    }

    fn path_prefix(&self) -> &'static str {
        self.sysroot.settings().path_prefix()
    }

    /// Follows a change of `sysroot.bootprefix`.
    fn rebase(&self, entry: &mut LoaderEntry) {
        let prefix = self.path_prefix();
        let moved = |path: &str| below_ostree(path).map(|rest| format!("{prefix}ostree/{rest}"));
        for key in ["linux", "initrd", "devicetree", "fdtdir"] {
            if let Some(path) = entry.get(key).and_then(moved) {
                entry.set(key, &path);
            }
        }
        let overlays: Vec<String> = entry
            .overlay_initrds()
            .iter()
            .map(|path| moved(path).unwrap_or_else(|| path.clone()))
            .collect();
        entry.set_overlay_initrds(overlays);
    }

    fn name_kernel(&self, entry: &mut LoaderEntry, path: &str, layout: &KernelLayout) {
        let prefix = self.path_prefix();
        let full = |name: &str| format!("{prefix}{path}/{name}");
        entry.set("linux", &full(&layout.kernel.name));
        match &layout.initramfs {
            Some(initramfs) => entry.set("initrd", &full(&initramfs.name)),
            None => drop(entry.remove("initrd")),
        }
        match &layout.devicetree {
            Some(DeviceTree::File(file)) => entry.set("devicetree", &full(&file.name)),
            Some(DeviceTree::Dir { name, .. }) => entry.set("fdtdir", &full(name)),
            None => {}
        }
    }

    /// Title, version and options.
    fn complete(&self, deployment: &mut Deployment) -> Result<()> {
        let title = self.title(deployment)?;
        let link = format!(
            "/ostree/boot.{}/{}/{}/{}",
            self.major, deployment.stateroot, deployment.bootcsum, deployment.bootserial
        );
        let entry = &mut deployment.entry;
        entry.set("title", &title);
        entry.set("version", &(self.count - deployment.index).to_string());
        let mut kargs = KernelArgs::parse(entry.get("options").unwrap_or(""));
        if entry.get("initrd").is_none() {
            kargs.replace_take(&format!("init={link}/usr/lib/ostree/ostree-prepare-root"));
        }
        kargs.replace_take(&format!("ostree={link}"));
        entry.set("options", &kargs.to_string());
        if deployment.index > 0 {
            for (key, value) in &self.sysroot.settings().append_except_default {
                entry.set(key, value);
            }
        }
        Ok(())
    }

    fn title(&self, deployment: &Deployment) -> Result<String> {
        let tree = self.sysroot.dir().open_dir(deployment.path())?;
        let mut title = os_release::read_name(&tree)?;
        let version = self.sysroot.commit_version(&deployment.checksum);
        if let Some(version) = version.filter(|v| !v.is_empty() && !title.contains(v.as_str())) {
            title.push_str(&format!(" {version}"));
        }
        title.push_str(" (ostree");
        if self.show_stateroot {
            title.push_str(&format!(":{}", deployment.stateroot));
        }
        title.push_str(&format!(":{})", deployment.index));
        Ok(title)
    }

    fn write(&self, boot: &Dir, deployment: &mut Deployment) -> Result<()> {
        let name = entry_name(self.sysroot, self.count, deployment);
        let dir = boot.open_dir(format!("loader.{}/entries", self.major))?;
        dir.write(&name.to_string(), deployment.entry.to_string().as_bytes(), 0o644)?;
        deployment.entry_name = Some(name);
        Ok(())
    }
}

/// What follows the last `ostree/` in the path of an entry.
fn below_ostree(path: &str) -> Option<&str> {
    path.rsplit_once("ostree/").map(|(_, rest)| rest)
}

/// The file name of an entry; boot counters start anew only for a new entry.
pub(crate) fn entry_name(
    sysroot: &Sysroot,
    count: usize,
    deployment: &Deployment,
) -> LoaderEntryName {
    let index = u32::try_from(count - deployment.index).unwrap_or(u32::MAX);
    let stateroot = sysroot.options().bootloader_naming_1.then(|| deployment.stateroot.clone());
    let tries = sysroot.settings().boot_counting_tries;
    let (tries_left, tries_done) = match &deployment.entry_name {
        _ if tries == 0 => (None, None),
        None => (Some(tries), None),
        Some(old) => match (old.tries_left.unwrap_or(0), old.tries_done.unwrap_or(0)) {
            (0, 0) => (None, None),
            (left, done) => (Some(left), Some(done)),
        },
    };
    LoaderEntryName { index, stateroot, tries_left, tries_done }
}

/// The kernel comes last: where it is, all is.
fn install_files(tree: &Dir, dest: &Dir, layout: &KernelLayout) -> Result<()> {
    for file in layout.files().skip(1) {
        install_file(tree, &file.source, dest, &file.name)?;
    }
    if let Some(DeviceTree::Dir { source, name, .. }) = &layout.devicetree {
        copy_dir(tree, source, dest, name)?;
    }
    install_file(tree, &layout.kernel.source, dest, &layout.kernel.name)
}

/// Links a file of the tree into `/boot`, or copies it to another file system.
fn install_file(tree: &Dir, source: &str, dest: &Dir, name: &str) -> Result<()> {
    match tree.link(source, dest, name) {
        Ok(()) => Ok(()),
        Err(e) if e.is_exists() => Ok(()),
        Err(e) if e.is_cross_device() || e.is_too_many_links() => {
            copy_file(tree, source, dest, name)
        }
        Err(e) => Err(e.into()),
    }
}

/// A private copy with owner and mode of the original, in place under its name only when
/// whole.
fn copy_file(tree: &Dir, source: &str, dest: &Dir, name: &str) -> Result<()> {
    if dest.exists(name)? {
        return Ok(());
    }
    let original = tree.open_file(source)?;
    let stat = original.stat()?;
    let temp = format!(".{name}.tmp");
    dest.unlink_opt(&temp)?;
    let copy = dest.create_file(&temp, 0o600)?;
    copy.copy_from(&original)?;
    let made = copy.stat()?;
    if (made.uid, made.gid) != (stat.uid, stat.gid) {
        copy.set_owner(stat.uid, stat.gid)?;
    }
    copy.set_mode(stat.mode)?;
    dest.rename(&temp, dest, name)?;
    Ok(())
}

fn copy_dir(tree: &Dir, source: &str, dest: &Dir, name: &str) -> Result<()> {
    let from = tree.open_dir(source)?;
    let stat = from.stat_self()?;
    dest.ensure_dir(name, 0o700)?;
    let to = dest.open_dir(name)?;
    let made = to.stat_self()?;
    if (made.uid, made.gid) != (stat.uid, stat.gid) {
        to.set_owner(stat.uid, stat.gid)?;
    }
    to.set_mode(stat.mode)?;
    for entry in from.entries()? {
        let Some(name) = entry.name.to_str() else { continue };
        match entry.kind {
            FileKind::Directory => copy_dir(&from, name, &to, name)?,
            FileKind::Regular => copy_file(&from, name, &to, name)?,
            FileKind::Symlink if !to.exists(name)? => {
                let target = from.read_link(name)?;
                to.symlink(String::from_utf8_lossy(&target).as_ref(), name)?;
            }
            _ => {}
        }
    }
    Ok(())
}
