//! Repositories on a volume that can be carried from one machine to another, such as a USB
//! stick: where they lie, and how they are found there.

use std::ffi::OsStr;

use trefoil_fsat::{Dir, FileKind};

use crate::{Repo, RepoError, Result};

/// Where a repository on a volume lies unless something else is wanted.
pub const USUAL_REPO: &str = ".ostree/repo";
/// Places that need no link to be found. The last is that of Flatpak.
const WELL_KNOWN: [&str; 3] = [USUAL_REPO, "ostree/repo", "var/lib/flatpak/repo"];
/// Holds links to repositories in other places, or such repositories themselves.
const REPOS_D: &str = ".ostree/repos.d";
/// Most names that are tried for a link.
const LINKS: u32 = 100;

/// Makes sure that the repository at `path` of `volume` can be found there: a link to it in
/// `.ostree/repos.d`, unless it lies in one of the two usual places or is linked already. Gives
/// the path of a link that was made. One symbolic link, not synced.
///
/// # Errors
/// No name is free.
pub fn publish_repo(volume: &Dir, path: &str, repo: &Repo) -> Result<Option<String>> {
    if WELL_KNOWN[..2].contains(&path) {
        return Ok(None);
    }
    volume.ensure_dirs(REPOS_D, 0o755)?;
    let repos = volume.open_dir(REPOS_D)?;
    if is_linked(&repos, repo.dir())? {
        return Ok(None);
    }
    let target = format!("../../{path}");
    for number in 0..LINKS {
        let name = format!("{number:02}-generated");
        match repos.symlink(&target, &name) {
            Ok(()) => return Ok(Some(format!("{REPOS_D}/{name}"))),
            Err(e) if e.is_exists() => {}
            Err(e) => return Err(e.into()),
        }
    }
    let what = "Could not find an unused symlink name for the repository";
    Err(RepoError::Refused(what.to_string()))
}

/// Whether [`publish_repo`] would make a link to what is at `path` of `volume`, which need not be
/// there yet.
pub fn would_publish(volume: &Dir, path: &str) -> Result<bool> {
    if WELL_KNOWN[..2].contains(&path) {
        return Ok(false);
    }
    let (Ok(repo), Some(repos)) = (volume.open_dir_following(path), volume.open_dir_opt(REPOS_D)?)
    else {
        return Ok(true);
    };
    Ok(!is_linked(&repos, &repo)?)
}

/// Whether one of the links in `repos` leads to `repo`. They may lead nowhere.
fn is_linked(repos: &Dir, repo: &Dir) -> Result<bool> {
    let identity = repo.stat_self()?.identity();
    let leads =
        |name: &OsStr| repos.stat_following(name).is_ok_and(|stat| stat.identity() == identity);
    Ok(repos.entries()?.iter().any(|entry| leads(&entry.name)))
}

/// The repositories on a volume: those of `.ostree/repos.d` by name, then those in the usual
/// places. Left out are those that cannot be opened, lie on another file system (where a link
/// or `core.parent` leads there), or are `seeker` itself.
pub(super) fn repos_on(volume: &Dir, seeker: &Repo) -> Result<Vec<Repo>> {
    let device = volume.stat_self()?.dev;
    let seeker = seeker.dir().stat_self()?.identity();
    let mut names = Vec::new();
    if let Ok(links) = volume.open_dir_following(REPOS_D) {
        for entry in links.sorted_entries()? {
            if matches!(entry.kind, FileKind::Directory | FileKind::Symlink) {
                names.extend(entry.name.to_str().map(|name| format!("{REPOS_D}/{name}")));
            }
        }
    }
    names.extend(WELL_KNOWN.map(str::to_string));
    let mut repos = Vec::new();
    for name in names {
        let Ok(repo) =
            volume.open_dir_following(&name).map_err(RepoError::from).and_then(Repo::open)
        else {
            continue;
        };
        if stays_on(&repo, device)? && repo.dir().stat_self()?.identity() != seeker {
            repos.push(repo);
        }
    }
    Ok(repos)
}

fn stays_on(repo: &Repo, device: u64) -> Result<bool> {
    let here = repo.dir().stat_self()?.dev == device;
    match repo.parent() {
        Some(parent) if here => stays_on(parent, device),
        _ => Ok(here),
    }
}
