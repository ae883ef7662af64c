//! What all scenarios share: the programs, the trees, a repository that has them, a server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum;

use super::state::{self, Known};
use super::tool::must;
use super::trees::{self, Version};
use crate::Result;

/// The stateroot.
pub const STATEROOT: &str = "testos";
/// Time between two looks for the server, and how often we look.
const PAUSE: Duration = Duration::from_millis(10);
const LOOKS: u32 = 1000;

/// Builds the namespaces of a running system; arguments: sysroot, deployment, folder with
/// `root` and `run`, folder of the program, folder of tools, then what to run in them.
const ENTER: &str = "
    S=$1 D=$2 W=$3 P=$4 T=$5; shift 5; R=$W/root
    mount --bind \"$D\" $R
    mount --rbind $S $R/sysroot
    mount --bind $S/boot $R/boot
    mount --bind $S/ostree/deploy/testos/var $R/var
    mount --bind $W/run $R/run
    mount --bind /usr $R/usr
    mount -t proc proc $R/proc
    mount --rbind /dev $R/dev
    mount --bind $P $R/mnt
    mount --bind $T $R/opt
    cd /
    exec chroot $R \"$@\"";

/// Runs the rest with every sync reported as done and not done.
const WITHOUT_SYNCS: &str = "
    mount --bind /bin/true /usr/sbin/fsfreeze
    C=fsync,fdatasync,syncfs,sync
    exec strace -f -qq -o /dev/null -e trace=$C -e inject=$C:retval=0 \"$@\"";

/// Which program is tried.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// Ours.
    Trefoil,
    /// libostree's.
    Ostree,
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Program::Trefoil => "trefoil",
            Program::Ostree => "ostree",
        }
    }
}

/// The surroundings. They go with this value.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    /// Our program.
    trefoil: PathBuf,
    server: Option<Child>,
    /// Where the server listens.
    pub url: String,
    /// All commits.
    pub known: Known,
    /// The commits by version.
    pub commits: BTreeMap<Version, String>,
    boots: AtomicU64,
}

impl Lab {
    /// Makes everything in `dir`.
    pub fn new(dir: &Path, trefoil: &Path) -> Result<Lab> {
        let trefoil = fs::canonicalize(trefoil)
            .map_err(|e| format!("{}: {e}; build it, or say --trefoil", trefoil.display()))?;
        let mut lab = Lab {
            dir: dir.to_path_buf(),
            trefoil,
            server: None,
            url: String::new(),
            known: Known::new(),
            commits: BTreeMap::new(),
            boots: AtomicU64::new(0),
        };
        trees::make(&lab.trees())?;
        let source = lab.source();
        must(lab.trefoil().args(["init", "--mode=archive"]).arg(repo(&source)))?;
        for version in Version::ALL {
            let words = [lab.commit_words(version), vec![repo(&source)]].concat();
            let commit = must(lab.trefoil().args(words))?.trim().to_string();
            let tree = trees::scan(&version.dir(&lab.trees()), &[])?;
            lab.known.insert(commit.clone(), tree);
            lab.commits.insert(version, commit);
        }
        must(lab.trefoil().args(["summary", "-u"]).arg(repo(&source)))?;
        lab.serve()?;
        lab.make_tools()?;
        Ok(lab)
    }

    /// Nothing manages services here, and libostree insists on one.
    fn make_tools(&self) -> Result<()> {
        let tools = self.dir.join("tools");
        fs::create_dir(&tools)?;
        std::os::unix::fs::symlink("/usr/bin/true", tools.join("systemctl"))?;
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let port = self.dir.join("port");
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig", "TERM"]).arg(&self.trefoil);
        server.args(["serve", "--bind=127.0.0.1:0", "--port-file"]).arg(&port).arg(self.source());
        self.server = Some(server.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        for _ in 0..LOOKS {
            if let Ok(port) = fs::read_to_string(&port)
                && port.ends_with('\n')
            {
                self.url = format!("http://127.0.0.1:{}/", port.trim());
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err("the server does not say its port".into())
    }

    /// Where everything lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn trees(&self) -> PathBuf {
        self.dir.join("trees")
    }

    /// The repository that has all versions.
    pub fn source(&self) -> PathBuf {
        self.dir.join("source")
    }

    fn trefoil(&self) -> Command {
        Command::new(&self.trefoil)
    }

    /// A commit that is the same whoever makes it.
    pub fn commit_words(&self, version: Version) -> Vec<String> {
        let tree = format!("--tree=dir={}", version.dir(&self.trees()).display());
        let words = ["commit", "-b", version.branch(), "--parent=none", "--timestamp=@1700000000"];
        words.iter().map(|word| word.to_string()).chain([tree]).collect()
    }

    /// A machine that has just been switched on.
    pub fn machine<'a>(
        &'a self,
        program: Program,
        disk: &'a Path,
        root: &'a Path,
        dir: &'a Path,
    ) -> Machine<'a> {
        let boot = self.boots.fetch_add(1, Relaxed);
        Machine { lab: self, program, disk, root, dir, boot, syncs: true }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn repo(path: &Path) -> String {
    format!("--repo={}", path.display())
}

/// A disk, mounted but where it is an image, and the program that works on it.
#[derive(Debug)]
pub struct Machine<'a> {
    /// The surroundings.
    pub lab: &'a Lab,
    /// Which program.
    pub program: Program,
    /// The file of the disk.
    disk: &'a Path,
    /// The sysroot.
    pub root: &'a Path,
    /// A folder for what a machine has beside its disk.
    dir: &'a Path,
    boot: u64,
    /// Whether syncs are done; where not, the program believes that they are.
    pub syncs: bool,
}

impl Machine<'_> {
    /// The program.
    pub fn binary(&self) -> &Path {
        match self.program {
            Program::Trefoil => &self.lab.trefoil,
            Program::Ostree => Path::new("/usr/bin/ostree"),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = if self.syncs {
            Command::new(program)
        } else {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation=private", "sh", "-ec", WITHOUT_SYNCS, "sh"]);
            command.arg(program);
            command
        };
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.env("OSTREE_SYSROOT", self.root).env("LC_ALL", "C.UTF-8");
        // After a power cut it is another boot, whatever the kernel that we run on says.
        command.env("OSTREE_BOOTID", format!("00000000-0000-4000-8000-{:012x}", self.boot));
    }

    /// Runs the program, which has to succeed.
    pub fn run(&self, words: &str) -> Result<String> {
        must(self.command(self.binary()).args(words.split(' ')))
    }

    /// Runs a verb of a repository, on that of the sysroot.
    pub fn repo(&self, words: &[String]) -> Result<String> {
        must(self.command(self.binary()).args(words).arg(repo(&self.root.join("ostree/repo"))))
    }

    /// Runs a verb of ours on the disk as an image, which nobody has mounted.
    pub fn image(&self, verb: &str, words: &[&str]) -> Result<()> {
        let mut command = self.command(&self.lab.trefoil);
        command.args(["image", verb]).arg(self.disk).args(words).arg(repo(&self.lab.source()));
        must(&mut command).map(drop)
    }

    /// Has libostree say what is deployed, which has to be what we read.
    pub fn check_list(&self, state: &state::State) -> Result<()> {
        let mut command = self.command(Path::new("/usr/bin/ostree"));
        let said = must(command.args(["admin", "status"]))?;
        let listed = said.lines().filter(|line| !line.starts_with("    "));
        let listed: Vec<_> = listed.filter_map(|line| line.split_whitespace().nth(1)).collect();
        match state.boots.iter().map(state::Boot::name).eq(listed.iter().copied()) {
            true => Ok(()),
            false => Err(format!("libostree lists {listed:?}").into()),
        }
    }

    /// Has libostree check every object.
    pub fn fsck(&self) -> Result<()> {
        let ostree = Path::new("/usr/bin/ostree");
        let repo = repo(&self.root.join("ostree/repo"));
        must(self.command(ostree).args(["fsck", "--quiet"]).arg(repo)).map(drop)
    }

    /// Has libostree read the trees of all refs.
    pub fn read_refs(&self, state: &state::State) -> Result<()> {
        let repo = repo(&self.root.join("ostree/repo"));
        let read = |commit: &String| {
            let mut command = self.command(Path::new("/usr/bin/ostree"));
            must(command.args(["ls", "-R", commit]).arg(&repo)).map(drop)
        };
        state.refs.values().try_for_each(read)
    }

    /// Reads what boots and what refs name.
    pub fn state(&self) -> Result<state::State> {
        state::read(self.root, &self.lab.known)
    }

    /// Boots the default deployment anew: nothing in `/run` survives.
    pub fn boot(&self) -> Result<()> {
        let run = self.dir.join("run");
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        fs::create_dir_all(&run)?;
        fs::create_dir_all(self.dir.join("root"))?;
        Ok(fs::write(run.join("ostree-booted"), "")?)
    }

    /// Runs `admin` of the program in the running system.
    pub fn inside(&self, words: &str) -> Result<String> {
        let deployment = state::default_deployment(self.root)?;
        let programs = self.binary().parent().unwrap_or(Path::new("/"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]);
        command.args(["sh", "-ec", ENTER, "sh"]).arg(self.root).arg(deployment).arg(self.dir);
        command.arg(programs).arg(self.lab.dir.join("tools"));
        command.arg(self.binary().file_name().unwrap_or_default());
        command.arg("admin").args(words.split(' '));
        self.surround(&mut command);
        command.env_remove("OSTREE_SYSROOT");
        command.env("PATH", "/opt:/mnt:/usr/sbin:/usr/bin:/sbin:/bin");
        must(&mut command)
    }
}
