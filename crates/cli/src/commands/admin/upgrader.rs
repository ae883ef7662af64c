//! Pulling what an origin follows, shared by `upgrade` and `switch`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use trefoil_format::checksum::Checksum;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::name::{RefName, Refspec, RemoteName};
use trefoil_repo::pull::{Peeked, PullError, PullOptions, PullRef};
use trefoil_repo::remote::find_remote;
use trefoil_sysroot::deploy::DeployOptions;
use trefoil_sysroot::{Deployment, Sysroot, origin};

use super::target::Target;
use crate::commands::remote::Place;
use crate::error::{CliError, Result};
use crate::fetching::{HttpArgs, RemotePull};

/// Another place than the remote's to fetch from. The settings of the remote hold there too.
#[derive(Clone, Debug)]
pub struct Source {
    /// The address of the repository.
    pub url: String,
    /// The ref that was asked for there,
    pub name: RefName,
    /// and where it is. It is looked up anew where the remote has its summary verified.
    pub tip: Checksum,
}

/// One stateroot on its way to another commit.
pub struct Upgrader<'a> {
    target: &'a Target<'a>,
    /// The stateroot.
    pub stateroot: String,
    /// The deployment that is upgraded.
    pub merge: Deployment,
    /// The origin that the new deployment will have.
    pub origin: KeyFile,
    /// Where to fetch from, if not from the remote's address.
    pub source: Option<Source>,
}

impl<'a> Upgrader<'a> {
    /// An upgrade of `stateroot` (`None`: the booted one).
    pub fn new(target: &'a Target<'a>, sysroot: &Sysroot, stateroot: Option<&str>) -> Result<Self> {
        let stateroot = match (stateroot, sysroot.booted()) {
            (Some(""), _) => return Err(CliError::failed("Invalid empty osname")),
            (Some(name), _) => name.to_string(),
            (None, Some(booted)) => booted.stateroot.clone(),
            (None, None) => {
                let text = "Not currently booted into an OSTree system and no OS specified";
                return Err(CliError::failed(text));
            }
        };
        let merge = sysroot.merge_deployment(&stateroot).cloned().ok_or_else(|| {
            CliError::failed(format!("No previous deployment for OS '{stateroot}'"))
        })?;
        let origin = merge.origin.clone().ok_or_else(|| {
            CliError::failed(format!("No origin known for deployment {}", merge.name()))
        })?;
        Ok(Upgrader { target, stateroot, merge, origin, source: None })
    }

    /// What the origin follows.
    pub fn refspec(&self) -> Result<Refspec> {
        let refspec = origin::refspec(&self.origin).ok_or_else(|| {
            CliError::failed(
                "No origin/refspec in current deployment origin; cannot upgrade via ostree",
            )
        })?;
        Ok(Refspec::parse(&refspec)?)
    }

    /// Fails where the maker of the system wants its owner to choose an origin first.
    pub fn check_configured(&self) -> Result<()> {
        match self.origin.string("origin", "unconfigured-state") {
            Some(state) => Err(CliError::failed(format!("origin unconfigured-state: {state}"))),
            None => Ok(()),
        }
    }

    /// Brings the commit here that the origin follows, unless `local`, and gives it. A ref that
    /// came to its end leads on to the next one, which the origin follows from then on.
    pub fn pull(&mut self, local: bool, allow_older: bool) -> Result<Checksum> {
        let place = Place::open(self.target.cx, Some(self.target.path()))?;
        let repo = &place.repo;
        let wanted = self.origin.string("origin", "override-commit");
        let wanted: Option<Checksum> = wanted.map(|text| text.parse()).transpose()?;
        let mut refspec = self.refspec()?;
        let fetch = |refspec: &Refspec, name: &str| match local {
            true => Ok(()),
            false => self.fetch(&place, refspec, name, allow_older),
        };
        match &wanted {
            Some(commit) => fetch(&refspec, &commit.to_hex())?,
            None => fetch(&refspec, refspec.name.as_str())?,
        }
        let tip = match &wanted {
            Some(commit) => *commit,
            None => repo.resolve_rev(&refspec.to_string())?,
        };
        let commit = repo.load_commit(&tip)?;
        if let Some(next) = commit.metadata.get_str("ostree.endoflife-rebase") {
            refspec.name = RefName::new(next)?;
            fetch(&refspec, next)?;
            self.origin.set_string("origin", "refspec", &refspec.to_string())?;
        }
        let new = match wanted {
            Some(commit) => {
                repo.set_ref(&refspec, Some(&commit))?;
                commit
            }
            None => repo.resolve_rev(&refspec.to_string())?,
        };
        if !allow_older && new != self.merge.checksum {
            self.check_time(&place, new)?;
        }
        Ok(new)
    }

    /// What [`Upgrader::pull`] would bring, and which ref would lead to it. Nothing changes.
    pub fn peek(&self, allow_older: bool) -> Result<(Refspec, Peeked)> {
        let place = Place::open(self.target.cx, Some(self.target.path()))?;
        let mut refspec = self.refspec()?;
        if let Some(wanted) = self.origin.string("origin", "override-commit") {
            let found = self.peek_at(&place, &refspec, &wanted, allow_older)?;
            return Ok((refspec, found));
        }
        let found = self.peek_at(&place, &refspec, refspec.name.as_str(), allow_older)?;
        let Some(next) = found.commit.metadata.get_str("ostree.endoflife-rebase") else {
            return Ok((refspec, found));
        };
        refspec.name = RefName::new(next)?;
        let found = self.peek_at(&place, &refspec, next, allow_older)?;
        Ok((refspec, found))
    }

    fn peek_at(
        &self,
        place: &Place,
        refspec: &Refspec,
        name: &str,
        allow_older: bool,
    ) -> Result<Peeked> {
        let Some(remote_name) = &refspec.remote else {
            let checksum = place.repo.resolve_rev(name)?;
            if !allow_older {
                self.check_time(place, checksum)?;
            }
            return Ok(Peeked { checksum, commit: place.repo.load_commit(&checksum)? });
        };
        let remote = find_remote(&place.repo, place.remotes_d.as_ref(), remote_name.as_str())?;
        let options = self.options(remote_name, name, allow_older);
        let (cx, remote, http) = (self.target.cx, &remote, &HttpArgs::default());
        let found = RemotePull { cx, place, remote, url: None, http }.peek(&options)?;
        let missing = || CliError::failed(format!("No such branch '{name}' in repository"));
        found.into_iter().next().ok_or_else(missing)
    }

    /// Pulls a ref or a commit from the remote of `refspec`; a local ref needs none.
    fn fetch(&self, place: &Place, refspec: &Refspec, name: &str, allow_older: bool) -> Result<()> {
        let Some(remote_name) = &refspec.remote else { return Ok(()) };
        let remote = find_remote(&place.repo, place.remotes_d.as_ref(), remote_name.as_str())?;
        let (cx, remote, http) = (self.target.cx, &remote, &HttpArgs::default());
        let url = self.source.as_ref().map(|source| source.url.as_str());
        let pull = RemotePull { cx, place, remote, url, http };
        let mut options = self.options(remote_name, name, allow_older);
        if let Some(source) = self.source.as_ref().filter(|source| source.name.as_str() == name)
            && !pull.verifies_summary()?
        {
            options.refs = vec![PullRef { commit: Some(source.tip), ..PullRef::from(name) }];
        }
        pull.run(&options)?;
        Ok(())
    }

    fn options(&self, remote: &RemoteName, name: &str, allow_older: bool) -> PullOptions {
        PullOptions {
            refs: vec![PullRef::from(name)],
            remote: Some(remote.clone()),
            timestamp_check_from: (!allow_older).then_some(self.merge.checksum),
            ..PullOptions::default()
        }
    }

    fn check_time(&self, place: &Place, new: Checksum) -> Result<()> {
        let old = self.merge.checksum;
        let old_time = place.repo.load_commit(&old)?.timestamp;
        let new_time = place.repo.load_commit(&new)?.timestamp;
        match new_time < old_time {
            true => Err(PullError::Older { new, new_time, old, old_time }.into()),
            false => Ok(()),
        }
    }

    /// The deploy of `commit` that ends the upgrade.
    pub fn deploy_options(&self, commit: &Checksum) -> DeployOptions {
        DeployOptions {
            stateroot: Some(self.stateroot.clone()),
            origin: Some(self.origin.clone()),
            ..DeployOptions::new(&commit.to_hex())
        }
    }
}

/// Reboots, if the sysroot is the running one: scripts that build systems may ask for it too.
pub fn reboot(sysroot: &Sysroot) -> Result<()> {
    match sysroot.booted() {
        Some(_) => Err(Command::new("systemctl").arg("reboot").exec().into()),
        None => Ok(()),
    }
}
