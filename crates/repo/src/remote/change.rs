use trefoil_format::keyfile::{KeyFile, KeyFileError};
use trefoil_format::name::RemoteName;
use trefoil_fsat::Dir;

use super::{Remote, RemoteSource, list_remotes};
use crate::{Repo, RepoError, Result};

/// What to do where a remote of that name exists.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Fail.
    Refuse,
    /// Leave it as it is.
    Keep,
    /// Give it new settings; none of the old ones stay.
    Replace,
}

/// A remote to be added.
#[derive(Clone, Debug, Default)]
pub struct NewRemote {
    /// Where its content is; `metalink=URL` for a metalink.
    pub url: Option<String>,
    /// What to pull where nothing is named.
    pub branches: Vec<String>,
    /// Further settings, in this order.
    pub options: Vec<(String, String)>,
}

impl NewRemote {
    fn write_to(
        &self,
        settings: &mut KeyFile,
        group: &str,
    ) -> std::result::Result<(), KeyFileError> {
        if let Some(url) = &self.url {
            match url.strip_prefix("metalink=") {
                Some(metalink) => settings.set_string(group, "metalink", metalink)?,
                None => settings.set_string(group, "url", url)?,
            }
        }
        if !self.branches.is_empty() {
            settings.set_list(group, "branches", &self.branches)?;
        }
        for (key, value) in &self.options {
            settings.set_string(group, key, value)?;
        }
        Ok(())
    }
}

/// Adds a remote, to the file `NAME.conf` in `remotes_d` where that is given, else to the
/// `config` of the repository. Durable. False where it existed and was kept.
///
/// # Errors
/// A name that can be none; a remote that exists already, with [`IfExists::Refuse`].
pub fn add_remote(
    repo: &mut Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    new: &NewRemote,
    if_exists: IfExists,
) -> Result<bool> {
    let Some(existing) = place_of(repo, remotes_d, name, new, if_exists)? else {
        return Ok(false);
    };
    let group = group_of(name);
    let file = match (&existing, remotes_d) {
        (Some(Remote { source: RemoteSource::File(file), .. }), Some(dir)) => {
            Some((dir, file.clone()))
        }
        (None, Some(dir)) => Some((dir, format!("{name}.conf"))),
        _ => None,
    };
    let mut settings = match (&file, existing) {
        (Some(_), Some(remote)) => remote.settings,
        (Some(_), None) => KeyFile::default(),
        (None, _) => repo.config().key_file.clone(),
    };
    settings.remove_group(&group);
    new.write_to(&mut settings, &group)
        .map_err(|source| RepoError::Config { path: repo.path().to_path_buf(), source })?;
    match file {
        Some((dir, file)) => dir.write_durable(&file, settings.to_string().as_bytes(), 0o644)?,
        None => repo.write_config(settings)?,
    }
    Ok(true)
}

/// Whether [`add_remote`] would write anything: false where the remote exists and is kept.
///
/// # Errors
/// As of [`add_remote`].
pub fn would_add_remote(
    repo: &Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    new: &NewRemote,
    if_exists: IfExists,
) -> Result<bool> {
    Ok(place_of(repo, remotes_d, name, new, if_exists)?.is_some())
}

/// The remote that would be replaced, none where the name is free; `None` where it is taken and
/// the remote stays.
fn place_of(
    repo: &Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    new: &NewRemote,
    if_exists: IfExists,
) -> Result<Option<Option<Remote>>> {
    check_name(name)?;
    let existing = own_remote(repo, remotes_d, name)?;
    match (&existing, if_exists) {
        (Some(_), IfExists::Keep) => return Ok(None),
        (Some(remote), IfExists::Refuse) => {
            let place = match &remote.source {
                RemoteSource::File(file) => file.as_str(),
                _ => "(in config)",
            };
            return Err(RepoError::Refused(format!(
                "Remote configuration for \"{name}\" already exists: {place}"
            )));
        }
        _ => {}
    }
    new.write_to(&mut KeyFile::default(), &group_of(name))
        .map_err(|source| RepoError::Config { path: repo.path().to_path_buf(), source })?;
    Ok(Some(existing))
}

/// Removes a remote and its keyring. False where there was none and `missing_ok`.
///
/// # Errors
/// There is none of that name in this repository; those of a parent are not removed.
pub fn delete_remote(
    repo: &mut Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    missing_ok: bool,
) -> Result<bool> {
    match to_delete(repo, remotes_d, name, missing_ok)?.map(|remote| remote.source) {
        None => return Ok(false),
        Some(RemoteSource::File(file)) => {
            if let Some(dir) = remotes_d {
                dir.unlink(&file)?;
                dir.sync()?;
            }
        }
        Some(_) => {
            let mut settings = repo.config().key_file.clone();
            settings.remove_group(&group_of(name));
            repo.write_config(settings)?;
        }
    }
    repo.dir().unlink_opt(format!("{name}.trustedkeys.gpg"))?;
    Ok(true)
}

/// Whether [`delete_remote`] would remove anything.
///
/// # Errors
/// As of [`delete_remote`].
pub fn would_delete_remote(
    repo: &Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    missing_ok: bool,
) -> Result<bool> {
    Ok(to_delete(repo, remotes_d, name, missing_ok)?.is_some())
}

fn to_delete(
    repo: &Repo,
    remotes_d: Option<&Dir>,
    name: &str,
    missing_ok: bool,
) -> Result<Option<Remote>> {
    check_name(name)?;
    match own_remote(repo, remotes_d, name)? {
        None if !missing_ok => Err(RepoError::Refused(format!("Remote \"{name}\" not found"))),
        found => Ok(found),
    }
}

fn own_remote(repo: &Repo, remotes_d: Option<&Dir>, name: &str) -> Result<Option<Remote>> {
    let found = list_remotes(repo, remotes_d)?.remove(name);
    Ok(found.filter(|remote| remote.source != RemoteSource::Parent))
}

fn check_name(name: &str) -> Result<()> {
    RemoteName::new(name)
        .map(drop)
        .map_err(|e| RepoError::format(format!("Invalid remote name {name}"), e))
}

fn group_of(name: &str) -> String {
    format!("remote \"{name}\"")
}
