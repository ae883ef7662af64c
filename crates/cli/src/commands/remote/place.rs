//! Where remotes are kept: in the repository's config, or in `remotes.d` of a running system.

use std::path::{Path, PathBuf};

use trefoil_fsat::Dir;
use trefoil_repo::Repo;

use crate::context::Context;
use crate::error::{Context as _, Result};

const REMOTES_D: &str = "etc/ostree/remotes.d";

/// A repository and the directory its further remotes are in.
#[derive(Debug)]
pub struct Place {
    /// The repository.
    pub repo: Repo,
    /// `etc/ostree/remotes.d` of the system it belongs to, where there is one.
    pub remotes_d: Option<Dir>,
    system: Option<PathBuf>,
}

impl Place {
    /// The repository of `sysroot`, else of the global options.
    ///
    /// A sysroot that has a directory `sysroot` is a running deployment, which keeps its
    /// remotes in /etc; a bare sysroot keeps them in the repository.
    pub fn open(cx: &Context, sysroot: Option<&Path>) -> Result<Place> {
        let (repo, system) = match sysroot {
            Some(root) => {
                let repo = cx.open_repo_at(&root.join("ostree/repo"))?;
                (repo, root.join("sysroot").exists().then(|| root.to_path_buf()))
            }
            None => {
                let path = cx.repo_path()?;
                let is_system =
                    path == Path::new("/sysroot/ostree/repo") || path == Path::new("/ostree/repo");
                (cx.open_repo()?, is_system.then(|| PathBuf::from("/")))
            }
        };
        let remotes_d = match &system {
            Some(root) => cx.fs.open_dir(root)?.open_dir_opt(REMOTES_D)?,
            None => None,
        };
        Ok(Place { repo, remotes_d, system })
    }

    /// The directory that a new remote is written to, made if need be; `None` for the config.
    pub fn for_writing(&mut self, cx: &Context) -> Result<()> {
        let wanted = self.repo.config().key_file.bool("core", "add-remotes-config-dir");
        if wanted.is_some_and(|wanted| matches!(wanted, Ok(false))) {
            self.remotes_d = None;
            return Ok(());
        }
        if let Some(root) = &self.system
            && self.remotes_d.is_none()
        {
            let what = format!("making {}", root.join(REMOTES_D).display());
            let root = cx.fs.open_dir(root)?;
            root.ensure_dirs(REMOTES_D, 0o755).context(&what)?;
            self.remotes_d = Some(root.open_dir(REMOTES_D).context(what)?);
        }
        Ok(())
    }
}
