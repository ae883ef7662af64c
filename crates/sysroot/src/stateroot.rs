//! Making a sysroot and stateroots in it.

use trefoil_fsat::Dir;
use trefoil_repo::{Repo, RepoMode};

use crate::error::During;
use crate::{Result, Sysroot, SysrootError, SysrootLock};

/// What a new sysroot has besides `boot` and `ostree`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Epoch {
    /// The top level directories of a traditional root as well.
    #[default]
    Traditional,
    /// Nothing (`--modern`).
    Modern,
    /// Nothing, and `ostree` is closed to ordinary users.
    Private,
}

impl Epoch {
    /// Reads the number given to `--epoch`.
    pub fn from_number(number: i64) -> Result<Epoch> {
        match number {
            n if n < 0 => Err(SysrootError::Refused(format!("Invalid epoch: {n}"))),
            0 => Ok(Epoch::Traditional),
            2 => Ok(Epoch::Private),
            _ => Ok(Epoch::Modern),
        }
    }
}

/// Makes the directories of a sysroot and its repository in the existing directory `root`, as
/// `ostree admin init-fs`, which always makes a repository of mode `bare`. What is there
/// already is left as it is.
pub fn init_fs(root: &Dir, epoch: Epoch, mode: RepoMode) -> Result<()> {
    for (name, mode) in directories(epoch) {
        root.ensure_dir(name, *mode)?;
    }
    if epoch == Epoch::Traditional {
        root.open_dir("tmp")?.set_mode(0o1777)?;
    }
    Repo::create(root.open_dir_following("ostree/repo")?, mode, None)?;
    Ok(())
}

/// What [`init_fs`] would make: directories that are not there, and what makes a repository of
/// `ostree/repo`. Changes nothing.
pub fn missing_of_fs(root: &Dir, epoch: Epoch) -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for (name, _) in directories(epoch) {
        if !root.exists(name)? {
            missing.push(*name);
        }
    }
    let has_repo = match root.exists("ostree/repo")? {
        true => !Repo::would_create(&root.open_dir_following("ostree/repo")?)?,
        false => false,
    };
    if !has_repo {
        missing.push("ostree/repo/config");
    }
    Ok(missing)
}

/// The directories of a sysroot in the order in which they are made, and their modes.
fn directories(epoch: Epoch) -> &'static [(&'static str, u32)] {
    match epoch {
        Epoch::Modern => {
            &[("boot", 0o755), ("ostree", 0o755), ("ostree/repo", 0o755), ("ostree/deploy", 0o755)]
        }
        Epoch::Private => {
            &[("boot", 0o755), ("ostree", 0o700), ("ostree/repo", 0o755), ("ostree/deploy", 0o755)]
        }
        Epoch::Traditional => &[
            ("boot", 0o755),
            ("dev", 0o755),
            ("home", 0o755),
            ("proc", 0o755),
            ("run", 0o755),
            ("sys", 0o755),
            ("root", 0o700),
            ("tmp", 0o1777),
            ("ostree", 0o755),
            ("ostree/repo", 0o755),
            ("ostree/deploy", 0o755),
        ],
    }
}

impl Sysroot {
    /// Makes a stateroot with an empty `var`, as `ostree admin stateroot-init`. One without
    /// `var` is what an interrupted run left: it is finished.
    ///
    /// # Errors
    /// A name with `/` in it, or one that is taken.
    pub fn init_stateroot(&mut self, _lock: &SysrootLock, name: &str) -> Result<()> {
        check_name(name)?;
        let path = format!("deploy/{name}");
        let (var, step) = (format!("{path}/var"), || format!("Creating ostree/{path}"));
        match self.ostree().mkdir(&path, 0o777) {
            Err(e) if e.is_exists() && !self.ostree().exists(&var)? => {}
            made => made.during(step)?,
        }
        self.ostree().mkdir(&var, 0o777).during(|| "Creating var".into())?;
        self.touch()
    }

    /// What [`Sysroot::init_stateroot`] refuses, without a change.
    ///
    /// # Errors
    /// A name with `/` in it, or one that is taken.
    pub fn check_new_stateroot(&self, name: &str) -> Result<()> {
        check_name(name)?;
        match self.ostree().exists(format!("deploy/{name}/var"))? {
            true => Err(SysrootError::Refused(format!("stateroot {name} is there already"))),
            false => Ok(()),
        }
    }

    /// Whether the stateroot exists.
    pub fn has_stateroot(&self, name: &str) -> Result<bool> {
        Ok(check_name(name).is_ok() && self.ostree().exists(format!("deploy/{name}"))?)
    }
}

fn check_name(name: &str) -> Result<()> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0', '\n']);
    if bad {
        Err(SysrootError::Refused(format!("Invalid stateroot name '{name}'")))
    } else {
        Ok(())
    }
}

/// Makes what systems without tmpfiles.d expect in `/var`, as libostree does for them.
pub(crate) fn init_legacy_var(var: &Dir) -> Result<()> {
    var.ensure_dir("tmp", 0o777)?;
    var.open_dir("tmp")?.set_mode(0o1777)?;
    var.ensure_dir("lib", 0o777)?;
    var.ensure_dir("log", 0o755)?;
    for (name, target) in [("run", "../run"), ("lock", "../run/lock")] {
        if !var.exists(name)? {
            var.symlink(target, name)?;
        }
    }
    Ok(())
}
