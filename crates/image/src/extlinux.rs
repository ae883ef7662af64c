use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, File, Fs};

use crate::Result;
use crate::bootloader::{missing, read_at};
use crate::tools::run;

const SYSLINUX: &str = "/usr/lib/syslinux";
const MODULES: [&str; 3] = ["ldlinux.c32", "libcom32.c32", "libutil.c32"];
/// The code of a master boot record ends where its partition table begins.
const CODE: usize = 440;
const CONFIG: &[u8] = b"TIMEOUT 1\nSERIAL 0 115200\n";

/// The files of SYSLINUX that an image needs.
pub(crate) struct BiosFiles {
    modules: Vec<(&'static str, Vec<u8>)>,
    mbr: Vec<u8>,
}

impl BiosFiles {
    /// Finds them on this machine.
    pub(crate) fn find(fs: &Fs) -> Result<BiosFiles> {
        let read = |path: &str| -> Result<Vec<u8>> {
            let path: PathBuf = Path::new(SYSLINUX).join(path);
            read_at(fs, &path)?.ok_or_else(|| {
                let what = path.display().to_string();
                missing(&what, "another --bootloader", "syslinux-common")
            })
        };
        let module = |name: &'static str| Ok((name, read(&format!("modules/bios/{name}"))?));
        let modules = MODULES.into_iter().map(module).collect::<Result<_>>()?;
        Ok(BiosFiles { modules, mbr: read("mbr/gptmbr.bin")? })
    }

    /// Writes the first code that runs into the first sector of the disk.
    pub(crate) fn write_mbr(&self, disk: &mut File) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let failed = |e| trefoil_fsat::FsError::new("seek", Path::new("the image"), e);
        disk.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(disk.write_all(&self.mbr[..self.mbr.len().min(CODE)])?)
    }

    /// Installs it in the `/boot` of the disk mounted at `path`. The first configuration lies where libostree looks
    /// for one and replaces it.
    pub(crate) fn install(&self, path: &Path, root: &Dir) -> Result<()> {
        let boot = root.open_dir("boot")?;
        boot.ensure_dir("syslinux", 0o755)?;
        boot.ensure_dir("loader.0", 0o755)?;
        boot.symlink("loader.0", "loader")?;
        boot.open_dir("loader.0")?.write("syslinux.cfg", CONFIG, 0o644)?;
        let dir = boot.open_dir("syslinux")?;
        for (name, bytes) in &self.modules {
            dir.write(name, bytes, 0o644)?;
        }
        run("extlinux", ["--install".as_ref(), path.join("boot/syslinux").as_os_str()])?;
        Ok(dir.symlink("../loader/syslinux.cfg", "syslinux.cfg")?)
    }
}
