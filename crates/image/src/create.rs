use std::time::Duration;

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::RemoteName;
use trefoil_fsat::File;
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_repo::{Repo, RepoMode, TreeId};
use trefoil_sysroot::deploy::{DeployOptions, KargOptions};
use trefoil_sysroot::spare::{SpareBuilder, Trust};
use trefoil_sysroot::{Account, Epoch, Phase, init_fs, origin};

use crate::attach::Access;
use crate::bootloader::{Tree, write_fstab};
use crate::error::During;
use crate::extlinux::BiosFiles;
use crate::session::{LOCK_WAIT, Session};
use crate::systemd_boot::EfiFiles;
use crate::tools::run;
use crate::{
    Bootloader, Filesystem, Format, ImageError, Layout, LoaderFiles, Place, Result, Role,
    Surroundings, filesystem,
};

/// What to make.
#[derive(Clone, Debug)]
pub struct CreateRequest<'a> {
    /// The repository with the commit.
    pub source: &'a Repo,
    /// A ref or checksum in it.
    pub rev: String,
    /// The ref gets this remote before it, in the image and in the origin of the deployment, so
    /// that the system can upgrade from there.
    pub remote: Option<RemoteName>,
    /// Size of the disk in bytes; rounded down to whole MiB.
    pub size: u64,
    /// The format of the file.
    pub format: Format,
    /// The file system of the root.
    pub filesystem: Filesystem,
    /// What starts the kernel.
    pub bootloader: Bootloader,
    /// Where its files are.
    pub loader_files: LoaderFiles,
    /// Kernel arguments, in this order. `root=` and `rw` are added where nothing says so.
    pub kargs: Vec<String>,
    /// The stateroot.
    pub os: String,
    /// Make a spare as well, so that the first update need not check out in full.
    pub spare: bool,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct CreateReport {
    /// The commit.
    pub commit: String,
    /// The deployment, `CHECKSUM.SERIAL`.
    pub deployment: String,
    /// The partitions.
    pub layout: Layout,
    /// Bytes that were written to the disk while it was attached.
    pub bytes_written: u64,
    /// What each phase took.
    pub phases: Vec<Phase>,
}

/// Files of the boot loader, all found before anything is made.
enum Loader {
    None,
    Efi(EfiFiles),
    Bios(BiosFiles),
}

/// Makes a bootable disk image at `place`, which must be free. The image gets its name when it is
/// whole and durable; what a run that died left behind is replaced by the next.
///
/// # Errors
/// The name is taken; no such commit, or one without a kernel; a disk that is too small; a
/// missing program or file of a boot loader; no permission to mount.
pub fn create(
    around: &Surroundings,
    place: &Place,
    request: &CreateRequest<'_>,
    clock: &dyn Fn() -> Duration,
) -> Result<CreateReport> {
    if place.dir().exists(place.name())? {
        let path = place.path();
        return Err(ImageError::Refused(format!("{} is there already", path.display())));
    }
    let mut account = Account::new(&around.fs, clock);
    let commit = request.source.resolve_rev(&request.rev)?;
    let tree = TreeId::of_commit(&request.source.load_commit(&commit)?);
    let loader = find_loader(around, request, &Tree { repo: request.source, root: tree })?;
    let name = place.hidden("new");
    let draft = Place::open(&around.fs, &place.path_of(&name))?;
    let made = make(around, &draft, request, commit, &loader, &mut account)
        .and_then(|made| finish(place, &name, request.format).map(|()| made));
    let (deployment, layout, bytes_written) = match made {
        Ok(made) => made,
        Err(e) => {
            // The reason of the failure matters more than what it left.
            let _ = place.dir().unlink_opt(&name);
            return Err(e);
        }
    };
    account.end("finish");
    let commit = commit.to_hex();
    Ok(CreateReport { commit, deployment, layout, bytes_written, phases: account.finish() })
}

fn find_loader(
    around: &Surroundings,
    request: &CreateRequest<'_>,
    tree: &Tree<'_>,
) -> Result<Loader> {
    Ok(match request.bootloader {
        Bootloader::None => Loader::None,
        Bootloader::SystemdBoot => {
            Loader::Efi(EfiFiles::find(&around.fs, &request.loader_files, tree)?)
        }
        Bootloader::Extlinux => Loader::Bios(BiosFiles::find(&around.fs)?),
    })
}

fn make(
    around: &Surroundings,
    draft: &Place,
    request: &CreateRequest<'_>,
    commit: Checksum,
    loader: &Loader,
    account: &mut Account<'_>,
) -> Result<(String, Layout, u64)> {
    let layout = make_disk(draft, request, loader)?;
    account.end("disk");
    let session = Session::open_with(around, draft, Access::ReadWrite, &|root| match loader {
        Loader::Bios(files) => files.install(root, &around.fs.open_dir(root)?),
        Loader::None | Loader::Efi(_) => Ok(()),
    })?;
    account.end("attach");
    let deployment = fill(around, &session, request, commit, account)?;
    let written = session.close()?;
    account.end("detach");
    Ok((deployment, layout, written))
}

/// Partitions and their file systems, empty but for the ESP.
fn make_disk(draft: &Place, request: &CreateRequest<'_>, loader: &Loader) -> Result<Layout> {
    draft.dir().unlink_opt(draft.name())?;
    let mut disk: File = draft.dir().create_file(draft.name(), 0o644)?;
    disk.set_len(request.size >> 20 << 20)?;
    let layout = Layout::write(&mut disk, request.bootloader)?;
    if let Loader::Bios(files) = loader {
        files.write_mbr(&mut disk)?;
    }
    for partition in &layout.partitions {
        filesystem::make(draft, &disk, partition, request.filesystem, |path| {
            match (partition.role, loader) {
                (Role::Esp, Loader::Efi(files)) => files.install(draft, path),
                _ => Ok(()),
            }
        })?;
    }
    Ok(layout)
}

/// The sysroot and its first deployment.
fn fill(
    around: &Surroundings,
    session: &Session,
    request: &CreateRequest<'_>,
    commit: Checksum,
    account: &mut Account<'_>,
) -> Result<String> {
    let root = around.fs.open_dir(session.root())?;
    init_fs(&root, Epoch::Traditional, RepoMode::Bare)?;
    let mut repo = Repo::open(root.open_dir("ostree/repo")?)?;
    let mut config = repo.config().key_file.clone();
    config
        .set_string("sysroot", "bootloader", request.bootloader.setting())
        .expect("a constant group, key and value");
    repo.write_config(config)?;
    account.end("init");
    pull(&repo, request)?;
    account.end("pull");
    let mut sysroot = session.sysroot()?;
    let lock = sysroot.lock(LOCK_WAIT)?;
    sysroot.init_stateroot(&lock, &request.os)?;
    let builder = SpareBuilder::new(Trust::Stat, false);
    let options = deploy_options(request, commit, &session.layout);
    let plan = sysroot.plan_deploy(&options, &builder)?;
    let report = sysroot.apply_deploy(&lock, plan, &builder, account)?;
    if let Some(boot) = session.layout.find(Role::Boot) {
        write_fstab(&sysroot, &boot.uuid)?;
    }
    if request.spare {
        sysroot.spare_prepare(&lock, &request.os)?;
        account.end("spare");
    }
    sysroot.ostree().sync_fs()?;
    Ok(report.name)
}

fn pull(repo: &Repo, request: &CreateRequest<'_>) -> Result<()> {
    let options = PullOptions {
        refs: vec![PullRef::from(request.rev.as_str())],
        remote: request.remote.clone(),
        ..PullOptions::default()
    };
    pull_local(repo, request.source, &options)
        .map(drop)
        .during(|| format!("pulling {} from {}", request.rev, request.source.path().display()))
}

fn deploy_options(request: &CreateRequest<'_>, commit: Checksum, layout: &Layout) -> DeployOptions {
    let has = |word: &str| {
        let key = |karg: &String| karg.split('=').next() == Some(word);
        request.kargs.iter().any(key)
    };
    let mut append = Vec::new();
    if let (false, Some(root)) = (has("root"), layout.find(Role::Root)) {
        append.push(format!("root=UUID={}", root.uuid));
    }
    if !has("ro") && !has("rw") {
        append.push("rw".to_string());
    }
    append.extend(request.kargs.iter().cloned());
    DeployOptions {
        stateroot: Some(request.os.clone()),
        kargs: KargOptions { append, ..KargOptions::default() },
        origin: Some(origin::from_refspec(&refspec(&request.rev, request.remote.as_ref()))),
        ..DeployOptions::new(&commit.to_hex())
    }
}

/// What a deployment of `rev` follows.
pub(crate) fn refspec(rev: &str, remote: Option<&RemoteName>) -> String {
    match remote {
        Some(remote) if Checksum::from_hex(rev).is_err() => format!("{remote}:{rev}"),
        _ => rev.to_string(),
    }
}

/// Gives the finished disk its name, in the format asked for.
fn finish(place: &Place, draft: &str, format: Format) -> Result<()> {
    if format == Format::Qcow2 {
        let converted = place.hidden("qcow2");
        let path = |name: &str| place.path_of(name).to_string_lossy().into_owned();
        run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", &path(draft), &path(&converted)])?;
        place.dir().open_file(&converted)?.sync()?;
        place.dir().rename_noreplace(&converted, place.dir(), place.name())?;
        place.dir().unlink(draft)?;
    } else {
        place.dir().rename_noreplace(draft, place.dir(), place.name())?;
    }
    Ok(place.dir().sync()?)
}
