//! What is done when the power goes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use clap::ValueEnum;

use super::lab::{Machine, Program, STATEROOT};
use super::layout::{self, Layout};
use super::state::State;
use super::trees::{self, Version};
use crate::Result;

/// A verb, and what it is run on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// `commit` of a directory, moving a ref.
    Commit,
    /// `pull-local` from a directory, moving a ref.
    PullLocal,
    /// `pull` over HTTP.
    PullHttp,
    /// A deploy that converts the spare; another kernel, so new boot entries.
    DeployRecycle,
    /// The same with the same kernel: only links change.
    DeployLinks,
    /// A deploy with a checkout in full; another kernel.
    DeployFull,
    /// `admin cleanup` of a tree, entries, a kernel and objects that nothing needs.
    Cleanup,
    /// `admin deploy --stage` in the running system.
    Stage,
    /// `admin finalize-staged` of a deployment that was staged.
    Finalize,
    /// `admin instutil set-kargs`.
    Kargs,
    /// `admin spare prepare`.
    Spare,
    /// `image update`, which converts the spare; another kernel. The power of the host goes.
    ImageUpdate,
}

impl Scenario {
    /// All there are.
    pub fn all() -> &'static [Scenario] {
        Scenario::value_variants()
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_string()).unwrap_or_default()
    }

    /// Whether the program has such a thing, and disks of this layout.
    pub fn is_for(self, program: Program, layout: Layout) -> bool {
        let ours = [
            Scenario::DeployRecycle,
            Scenario::DeployLinks,
            Scenario::Spare,
            Scenario::ImageUpdate,
        ];
        (program == Program::Trefoil || !ours.contains(&self))
            && self.is_of_image() == (layout == Layout::Image)
    }

    /// Whether it is done to a disk that nobody has mounted.
    pub fn is_of_image(self) -> bool {
        self == Scenario::ImageUpdate
    }

    /// Makes the state on which it begins, on a machine with the base system.
    pub fn prepare(self, machine: &Machine<'_>) -> Result<()> {
        match self {
            Scenario::DeployRecycle | Scenario::DeployLinks => {
                machine.run(&format!("admin spare prepare --os={STATEROOT}")).map(drop)
            }
            Scenario::Cleanup => litter(machine),
            Scenario::Finalize => stage(machine),
            Scenario::Stage => machine.boot(),
            _ => Ok(()),
        }
    }

    /// Does it.
    pub fn run(self, machine: &Machine<'_>) -> Result<()> {
        match self {
            Scenario::Commit => {
                let commit = machine.repo(&machine.lab.commit_words(Version::E))?;
                match commit.trim() == machine.lab.commits[&Version::E] {
                    true => Ok(()),
                    false => Err(format!("it made commit {}", commit.trim()).into()),
                }
            }
            Scenario::PullLocal => {
                let source = machine.lab.source().to_string_lossy().into_owned();
                machine.repo(&["pull-local".into(), source, Version::E.branch().into()]).map(drop)
            }
            Scenario::PullHttp => {
                let words = ["pull", "origin", Version::E.branch()].map(str::to_string);
                machine.repo(&words).map(drop)
            }
            Scenario::DeployRecycle => deploy(machine, Version::C, ""),
            Scenario::DeployLinks => deploy(machine, Version::D, ""),
            Scenario::DeployFull if machine.program == Program::Trefoil => {
                deploy(machine, Version::C, " --no-recycle")
            }
            Scenario::DeployFull => deploy(machine, Version::C, ""),
            Scenario::Cleanup => machine.run("admin cleanup").map(drop),
            Scenario::Stage => stage_now(machine),
            Scenario::Finalize => machine.inside("finalize-staged").map(drop),
            Scenario::Kargs => {
                machine.run("admin instutil set-kargs --merge --replace=rig=1").map(drop)
            }
            Scenario::Spare => {
                machine.run(&format!("admin spare prepare --os={STATEROOT}")).map(drop)
            }
            Scenario::ImageUpdate => machine.image("update", &[Version::C.branch()]),
        }
    }

    /// Does it on the machine that came back, without help.
    pub fn again(self, machine: &Machine<'_>) -> Result<()> {
        match self {
            Scenario::Stage => {
                machine.boot()?;
                stage_now(machine)?;
                machine.inside("finalize-staged").map(drop)
            }
            Scenario::Finalize => {
                stage(machine)?;
                self.run(machine)
            }
            Scenario::Spare => {
                // What is called a spare is one, to the last byte.
                let verify = format!("admin spare verify --trust=full --os={STATEROOT}");
                let status = machine.run(&format!("admin spare status --os={STATEROOT}"))?;
                if status.contains("spare of commit") {
                    machine.run(&verify)?;
                }
                self.run(machine)?;
                machine.run(&verify).map(drop)
            }
            _ => self.run(machine),
        }
    }

    /// Whether all is durable when the verb returns.
    pub fn is_durable(self) -> bool {
        // The others change neither what boots nor refs.
        !matches!(self, Scenario::Cleanup | Scenario::Stage | Scenario::Spare)
    }

    /// Whether the machine that came back now is where it should have been.
    pub fn check_end(self, found: &State, wanted: &State) -> Result<()> {
        if found.refs != wanted.refs {
            return Err(format!("refs are {:?}", found.refs).into());
        }
        let first = |state: &State| {
            state.boots.first().map(|boot| (boot.commit.clone(), boot.kargs.clone()))
        };
        // Staging alone changes nothing, but the next run went on to the end.
        let staged = self == Scenario::Stage;
        match staged || first(found) == first(wanted) {
            true => Ok(()),
            false => Err(format!("what boots is {:?}", first(found)).into()),
        }
    }
}

/// Brings an empty disk to the system that all scenarios begin with: A and B are deployed, with
/// edits in `/etc`, and the other versions are in the repository.
pub fn make_base(machine: &Machine<'_>) -> Result<()> {
    let root = machine.root.to_string_lossy().into_owned();
    machine.run(&format!("admin init-fs --modern {root}"))?;
    machine.run(&format!("admin os-init {STATEROOT}"))?;
    let source = machine.lab.source().to_string_lossy().into_owned();
    let mut words = vec!["pull-local".to_string(), source];
    let deployable = [Version::A, Version::B, Version::C, Version::D];
    words.extend(deployable.map(|version| version.branch().to_string()));
    machine.repo(&words)?;
    let url = machine.lab.url.clone();
    let words = ["remote", "add", "--no-gpg-verify", "origin"].map(str::to_string);
    machine.repo(&[&words[..], &[url]].concat())?;
    machine
        .repo(&["refs", "--create", Version::E.branch(), Version::A.branch()].map(String::from))?;
    deploy(machine, Version::A, " --karg=root=LABEL=rig")?;
    trees::edit_etc(&super::state::default_deployment(machine.root)?.join("etc"))?;
    deploy(machine, Version::B, "")
}

/// The same on a disk image, but for what comes with the first update. `edit` is to mount the disk
/// for the time of what it is given.
pub fn make_image(
    machine: &Machine<'_>,
    edit: impl FnOnce(fn(&Machine<'_>) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let (a, b) = (Version::A.branch(), Version::B.branch());
    let size = format!("--size={}", layout::ROOT);
    machine.image("create", &[a, &format!("--os={STATEROOT}"), &size])?;
    edit(|machine| trees::edit_etc(&super::state::default_deployment(machine.root)?.join("etc")))?;
    machine.image("update", &[b])?;
    machine.image("prepare", &[])
}

/// Makes a disk with an EFI system partition, and A on it.
pub fn create_esp_image(machine: &Machine<'_>, words: &[&str]) -> Result<()> {
    let size = format!("--size={}", layout::ESP_DISK);
    let more = [Version::A.branch(), &format!("--os={STATEROOT}"), &size];
    machine.image("create", &[&more[..], words].concat())
}

/// The rest of it: edits in `/etc`, the other versions, and a boot loader that is looked for.
pub fn fill_esp_image(machine: &Machine<'_>) -> Result<()> {
    let etc = super::state::default_deployment(machine.root)?.join("etc");
    // That an image has one is no edit of ours.
    fs::remove_file(etc.join("fstab"))?;
    trees::edit_etc(&etc)?;
    fs::create_dir(machine.root.join("boot/efi"))?;
    let source = machine.lab.source().to_string_lossy().into_owned();
    let versions = [Version::B, Version::C].map(|version| version.branch().to_string());
    machine.repo(&[&["pull-local".to_string(), source], &versions[..]].concat())?;
    machine.repo(&["config", "set", "sysroot.bootloader", "auto"].map(String::from)).map(drop)
}

fn deploy(machine: &Machine<'_>, version: Version, more: &str) -> Result<()> {
    let branch = version.branch();
    machine.run(&format!("admin deploy --os={STATEROOT}{more} {branch}")).map(drop)
}

fn stage(machine: &Machine<'_>) -> Result<()> {
    machine.boot()?;
    stage_now(machine)
}

fn stage_now(machine: &Machine<'_>) -> Result<()> {
    machine.inside(&format!("deploy --stage {}", Version::C.branch())).map(drop)
}

/// Leaves what interrupted runs do: a tree that no entry names, a kernel, links, a commit.
fn litter(machine: &Machine<'_>) -> Result<()> {
    let deploy = machine.root.join(format!("ostree/deploy/{STATEROOT}/deploy"));
    let commit = &machine.lab.commits[&Version::A];
    let (from, to) = (deploy.join(format!("{commit}.0")), deploy.join(format!("{commit}.7")));
    super::tool::run("cp", ["-al".as_ref(), from.as_os_str(), to.as_os_str()])?;
    fs::copy(deploy.join(format!("{commit}.0.origin")), deploy.join(format!("{commit}.7.origin")))?;
    let kernel = machine.root.join(format!("boot/ostree/{STATEROOT}-{commit}"));
    fs::create_dir(&kernel)?;
    fs::write(kernel.join("vmlinuz-0"), vec![7; 100_000])?;
    let other = other_loader(machine.root)?;
    fs::create_dir_all(machine.root.join(format!("boot/{other}/entries")))?;
    fs::write(machine.root.join(format!("boot/{other}/entries/ostree-1.conf")), "title none\n")?;
    let farm = machine.root.join(format!("ostree/{}.0", other.replace("loader", "boot")));
    fs::create_dir_all(&farm)?;
    symlink("nowhere", farm.join("link"))?;
    machine.repo(&["refs", "--delete", Version::D.branch()].map(String::from)).map(drop)
}

fn other_loader(root: &Path) -> Result<String> {
    let active = fs::read_link(root.join("boot/loader"))?;
    Ok(if active == Path::new("loader.0") { "loader.1" } else { "loader.0" }.to_string())
}
