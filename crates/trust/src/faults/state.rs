//! What a world holds, and whether all of it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::Fs;
use trefoil_repo::checkout::{CheckoutOptions, verify_checkout};
use trefoil_repo::fsck::{FsckOptions, fsck};
use trefoil_repo::{CommitState, Repo, TreeId};
use trefoil_sysroot::{Deployment, Sysroot};

use super::world::World;
use crate::Result;

/// Repositories a world may have.
const REPOS: [&str; 2] = ["sysroot/ostree/repo", "repo"];
/// Not of the commit: the administrator's, a mount point, and what a hotfix is written to.
const NOT_OF_THE_COMMIT: [&str; 4] = ["etc", "var", ".usr-ovl-upper", ".usr-ovl-work"];

/// What counts of a world: two that are equal are the same to whoever uses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The deployments in boot order.
    pub deployments: Vec<Listed>,
    /// The one that waits for shutdown.
    pub staged: Option<Listed>,
    /// The trees that the refs of each repository lead to; those of deployments and of the
    /// spare are left out.
    pub refs: BTreeMap<String, TreeId>,
    /// Static deltas, the summary, the config of each repository.
    pub other: BTreeMap<String, Checksum>,
}

/// One deployment, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub commit: Checksum,
    /// Kernel arguments without `ostree=`.
    pub options: String,
    /// Names, modes, owners and content of the whole tree, `etc` among it.
    pub tree: Checksum,
    pub origin: String,
    /// Kernel and initramfs.
    pub kernel: Checksum,
}

impl State {
    /// Looks at everything. Where `linked` is not set, files of deployments may be copies.
    ///
    /// # Errors
    /// What is not whole.
    pub fn of(world: &World, linked: bool) -> Result<State> {
        let mut state = State::default();
        for name in REPOS {
            if world.live(name).join("objects").is_dir() {
                look_at_repo(world, name, &mut state)?;
            }
        }
        if world.live("sysroot/ostree/repo/objects").is_dir() {
            let sysroot = world.sysroot(&Fs::new())?;
            for deployment in sysroot.listed() {
                let found = whole(world, &sysroot, deployment, linked)?;
                state.deployments.push(found);
            }
            if let Some(staged) = sysroot.staged() {
                state.staged = Some(whole(world, &sysroot, staged, linked)?);
            }
        }
        Ok(state)
    }

    /// What comes first at the next boot.
    pub fn newest(&self) -> Option<&Listed> {
        self.deployments.first()
    }
}

fn look_at_repo(world: &World, name: &str, state: &mut State) -> Result<()> {
    let mut repo = world.repo(&Fs::new(), name)?;
    let report = fsck(&mut repo, FsckOptions::default(), &mut |_| {})?;
    if !report.is_clean() {
        return Err(format!("{name}: fsck found {:?}", report.findings).into());
    }
    for (refspec, commit) in repo.list_refs(None)? {
        if repo.commit_state(&commit)? != CommitState::Normal {
            return Err(format!("{name}: ref {refspec} leads to a part of commit {commit}").into());
        }
        let refspec = refspec.to_string();
        if !refspec.starts_with("ostree/") && !refspec.starts_with("trefoil/") {
            let tree = TreeId::of_commit(&repo.load_commit(&commit)?);
            state.refs.insert(format!("{name} {refspec}"), tree);
        }
    }
    for delta in trefoil_repo::delta::list_deltas(&repo)? {
        let bytes = trefoil_repo::delta::read_delta(&repo, &delta)?;
        state.other.insert(format!("{name} {delta}"), Checksum::of(&bytes));
    }
    for file in ["summary", "config"] {
        if let Ok(bytes) = fs::read(world.live(name).join(file)) {
            state.other.insert(format!("{name} {file}"), Checksum::of(&bytes));
        }
    }
    Ok(())
}

/// The deployment, if its tree is its commit, its kernel is there, and its entry leads to it.
fn whole(
    world: &World,
    sysroot: &Sysroot,
    deployment: &Deployment,
    linked: bool,
) -> Result<Listed> {
    let listed = !deployment.staged;
    let root = world.live("sysroot");
    let path = root.join(deployment.path());
    let tree = Fs::new().open_dir(&path)?;
    let commit = sysroot.repo().load_commit(&deployment.checksum)?;
    let options = CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() };
    let (repo, id): (&Repo, _) = (sysroot.repo(), TreeId::of_commit(&commit));
    if linked && let Some(problem) = verify_checkout(repo, &options, &tree, id, &NOT_OF_THE_COMMIT)?
    {
        return Err(format!("{} is not its commit: {problem}", deployment.path()).into());
    }
    let mut kernel = Vec::new();
    for key in ["linux", "initrd"].into_iter().filter(|_| listed) {
        let entry = deployment.entry.get(key).ok_or_else(|| format!("an entry without {key}"))?;
        let file = root.join("boot").join(entry.trim_start_matches('/'));
        let content = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        kernel.extend(content);
    }
    if listed {
        entry_leads_to(&root, deployment, &path)?;
    }
    let own = deployment.kargs().to_strings();
    let own: Vec<_> = own.iter().filter(|arg| !arg.starts_with("ostree=")).cloned().collect();
    let mut text = String::new();
    describe(&path, &mut text)?;
    Ok(Listed {
        commit: deployment.checksum,
        options: own.join(" "),
        tree: Checksum::of(text.as_bytes()),
        origin: fs::read_to_string(root.join(deployment.origin_path())).unwrap_or_default(),
        kernel: Checksum::of(&kernel),
    })
}

fn entry_leads_to(root: &Path, deployment: &Deployment, path: &Path) -> Result<()> {
    let kargs = deployment.kargs();
    let link = kargs.get_last_value("ostree").ok_or("an entry without ostree=")?;
    let link = root.join(link.trim_start_matches('/'));
    let found = fs::metadata(&link).map_err(|e| format!("{}: {e}", link.display()))?;
    let wanted = fs::metadata(path)?;
    match (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()) {
        true => Ok(()),
        false => Err(format!("{} does not lead to {}", link.display(), path.display()).into()),
    }
}

/// Names, modes, owners and content of all below `dir`, in order.
pub fn describe(dir: &Path, out: &mut String) -> Result<()> {
    use std::fmt::Write;
    let mut entries = fs::read_dir(dir)
        .map_err(|e| format!("{}: {e}", dir.display()))?
        .collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path)?;
        let _ = write!(
            out,
            "{}/{:?} {:o} {}:{} ",
            dir.components().count(),
            entry.file_name(),
            meta.mode(),
            meta.uid(),
            meta.gid()
        );
        if meta.is_dir() {
            out.push('\n');
            describe(&path, out)?;
        } else if meta.is_symlink() {
            let _ = writeln!(out, "{:?}", fs::read_link(&path)?);
        } else if meta.is_file() {
            let _ = writeln!(out, "{}", Checksum::of(&fs::read(&path)?));
        }
    }
    Ok(())
}

/// How many names there are in each part of a world, trees of deployments and objects left out:
/// what a run leaves behind for nobody shows here.
pub fn names(world: &World) -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    let root = world.live("");
    count(&root, &root, &mut found)?;
    Ok(found)
}

fn count(root: &Path, dir: &Path, found: &mut BTreeMap<String, usize>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let rel = path.strip_prefix(root)?.display().to_string();
        // libostree makes the cache when it looks at a repository; a lock file stays.
        let kept = ["/objects", "/tmp/cache", "/.lock"];
        if kept.iter().any(|name| rel.ends_with(name)) || rel.starts_with("out") {
            continue;
        }
        let is_dir = entry.file_type()?.is_dir();
        // Directories of refs and deltas stay when they are empty, as with libostree.
        if !is_dir || !(rel.contains("/repo/refs/") || rel.contains("repo/deltas/")) {
            *found.entry(area(&rel)).or_default() += 1;
        }
        let parent = dir.file_name().unwrap_or_default();
        let is_tree = parent == "deploy" && dir.join("../var").exists();
        let is_spare = rel.contains("ostree/trefoil/") && !rel.ends_with("/etc");
        if is_dir && !is_tree && !(is_spare && rel.matches('/').count() > 3) {
            count(root, &path, found)?;
        }
    }
    Ok(())
}

/// The part of a world that a path belongs to.
fn area(rel: &str) -> String {
    let parts = [
        "/repo/tmp/",
        "/repo/state/",
        "/repo/refs/",
        "/repo/deltas/",
        "/repo/trefoil/",
        "/repo/",
        "/trefoil/",
        "/deploy/",
        "/boot/ostree/",
        "/boot/",
        "run/",
    ];
    let slashed = format!("/{rel}");
    let part = parts.iter().find(|part| slashed.contains(*part)).copied().unwrap_or("/");
    part.to_string()
}

/// Has a transaction look at `tmp` of each repository for which everything there is old.
pub fn let_time_pass(world: &World) -> Result<()> {
    // Longer than the file system's clock takes for a step.
    std::thread::sleep(Duration::from_millis(10));
    for name in REPOS.into_iter().filter(|name| world.live(name).join("objects").is_dir()) {
        let mut repo = world.repo(&Fs::new(), name)?;
        let mut config = repo.config().key_file.clone();
        config.set_raw("core", "tmp-expiry-secs", "0")?;
        repo.write_config(config)?;
        drop(repo.begin()?);
    }
    Ok(())
}
