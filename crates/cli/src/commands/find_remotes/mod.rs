//! `find-remotes`: which remotes and mounted volumes have the newest commits of refs.

mod show;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::RemoteName;
use trefoil_fsat::Dir;
use trefoil_repo::finder::{self, Candidate, FoundRemote};
use trefoil_repo::pull::{PullOptions, PullRef};
use trefoil_repo::remote::{list_remotes, open_url};
use trefoil_repo::summary::{Summary, read_summary};
use trefoil_repo::verify::{RemoteVerifier, VerifyOverrides};
use trefoil_repo::{CollectionRef, Repo};

use crate::commands::create_usb::collection_refs;
use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::fetching::{HttpArgs, RemotePull};
use crate::{keys, volumes};

const NO_LAN: &str = "LAN repo finder requested but ostree was compiled without Avahi support";
const FINDERS: [&str; 3] = ["config", "lan", "mount"];

/// Arguments of `find-remotes`.
#[derive(Args, Debug)]
pub struct FindRemotesArgs {
    /// What to look for
    #[arg(value_name = "COLLECTION-ID REF [COLLECTION-ID REF...]")]
    refs: Vec<String>,
    /// Use custom cache dir
    #[arg(long, value_name = "PATH")]
    cache_dir: Option<PathBuf>,
    /// Do not invoke fsync()
    #[arg(long)]
    disable_fsync: bool,
    /// Use the specified comma separated list of finders (config, mount)
    #[arg(long, value_name = "FINDERS")]
    finders: Option<String>,
    /// Pull the updates after finding them
    #[arg(long)]
    pull: bool,
    /// Do a mirror pull (see ostree pull --mirror)
    #[arg(long)]
    mirror: bool,
    /// Print what was found as JSON
    #[arg(long, conflicts_with = "pull")]
    json: bool,
}

/// Runs `find-remotes`.
pub fn run(args: FindRemotesArgs, cx: &Context) -> Result<()> {
    let wanted = collection_refs(&args.refs)?;
    if args.mirror && !args.pull {
        return Err(CliError::usage("When --mirror is specified, --pull must also be"));
    }
    let mut place = Place::open(cx, None)?;
    if args.disable_fsync {
        place.repo.set_fsync(false);
    }
    let finders = match &args.finders {
        Some(list) => given_finders(list)?,
        None => usual_finders(&place.repo)?,
    };
    let http = HttpArgs { cache_dir: args.cache_dir.clone(), ..HttpArgs::default() };
    let search = Search { cx, place: &place, http: &http };
    let listed = search.summaries(search.candidates(&finders, &wanted)?)?;
    let found = search.newest(&listed, &wanted)?;
    if args.json {
        return show::json(cx, &found);
    }
    show::text(cx, &found, &wanted)?;
    if args.pull && !found.is_empty() {
        search.pull(listed, found, &wanted, args.mirror)?;
    }
    Ok(())
}

/// The finders of `--finders`.
fn given_finders(list: &str) -> Result<Vec<String>> {
    let mut finders: Vec<String> = Vec::new();
    for word in list.split(',') {
        if !FINDERS.contains(&word) || finders.iter().any(|known| known == word) {
            return Err(CliError::usage(format!(
                "Unknown or duplicate finder type given in --finders option: ‘{word}’"
            )));
        }
        finders.push(word.to_string());
    }
    match finders.iter().any(|word| word == "lan") {
        true => Err(CliError::usage(NO_LAN)),
        false => Ok(finders),
    }
}

/// The finders of `core.default-repo-finders`; `lan` among them finds nothing.
fn usual_finders(repo: &Repo) -> Result<Vec<String>> {
    let Some(finders) = repo.config().key_file.list("core", "default-repo-finders") else {
        return Ok(vec!["config".to_string(), "mount".to_string()]);
    };
    if finders.is_empty() {
        return Err(CliError::failed("Invalid empty default-repo-finders configuration"));
    }
    match finders.iter().find(|word| !FINDERS.contains(&word.as_str())) {
        Some(word) => Err(CliError::failed(format!("Invalid configured repo-finder '{word}'"))),
        None => Ok(finders),
    }
}

struct Search<'a> {
    cx: &'a Context,
    place: &'a Place,
    http: &'a HttpArgs,
}

impl Search<'_> {
    fn candidates(
        &self,
        finders: &[String],
        wanted: &BTreeSet<CollectionRef>,
    ) -> Result<Vec<Candidate>> {
        let repo = &self.place.repo;
        let remotes = list_remotes(repo, self.place.remotes_d.as_ref())?;
        let mut found = Vec::new();
        for word in finders {
            if word == "config" {
                found.extend(finder::configured(&remotes, wanted));
            } else if word == "mount" {
                let volumes: Vec<Dir> = volumes::mounted(self.cx)?;
                found.extend(finder::mounted(repo, &remotes, &volumes, wanted)?);
            }
        }
        for candidate in &mut found {
            if let Some(path) = &mut candidate.directory {
                *path = volumes::real_path(path)?;
            }
        }
        Ok(found)
    }

    /// The candidates that have a summary. Those that cannot be asked are left out.
    fn summaries(&self, candidates: Vec<Candidate>) -> Result<Vec<(Candidate, Summary)>> {
        let mut listed = Vec::new();
        for candidate in candidates {
            match self.summary(&candidate) {
                Ok(Some(summary)) => listed.push((candidate, summary)),
                Ok(None) => self.ignored(&candidate, "No summary file exists on server")?,
                Err(e) => self.ignored(&candidate, &e.to_string())?,
            }
        }
        Ok(listed)
    }

    fn ignored(&self, candidate: &Candidate, why: &str) -> Result<()> {
        let name = candidate.directory_url().unwrap_or_else(|| candidate.remote.name.clone());
        self.cx.ui.debug(format_args!("ignoring {name}: {why}"))
    }

    /// That of a volume needs no signature: commits do.
    fn summary(&self, candidate: &Candidate) -> Result<Option<Summary>> {
        let bytes = match candidate.directory_url() {
            Some(url) => read_summary(&open_url(&self.cx.fs, &url)?)?,
            None => self.remote(candidate, None).summary()?.map(|summary| summary.bytes),
        };
        Ok(bytes.map(|bytes| Summary::parse(&bytes)).transpose()?)
    }

    fn remote<'r>(&'r self, candidate: &'r Candidate, url: Option<&'r str>) -> RemotePull<'r> {
        let (cx, place, http) = (self.cx, self.place, self.http);
        RemotePull { cx, place, remote: &candidate.remote, url, http }
    }

    fn newest(
        &self,
        listed: &[(Candidate, Summary)],
        wanted: &BTreeSet<CollectionRef>,
    ) -> Result<Vec<FoundRemote>> {
        let mut fetch = |candidate: &Candidate, commit: &Checksum| {
            let url = candidate.directory_url();
            self.remote(candidate, url.as_deref()).commit(commit).ok()
        };
        Ok(finder::newest(&self.place.repo, listed, wanted, &mut fetch)?)
    }

    /// Pulls each ref from the first that has it. One that fails is asked no more, and what it
    /// said of how new its commits are does not count any more either.
    fn pull(
        &self,
        mut listed: Vec<(Candidate, Summary)>,
        mut found: Vec<FoundRemote>,
        wanted: &BTreeSet<CollectionRef>,
        mirror: bool,
    ) -> Result<()> {
        let has = |found: &[FoundRemote], key: &CollectionRef| {
            found.iter().any(|found| found.refs.get(key).is_some_and(Option::is_some))
        };
        let mut open: BTreeSet<_> = wanted.iter().filter(|r| has(&found, r)).cloned().collect();
        let mut failure = None;
        let expected = open.len();
        while !open.is_empty() && !found.is_empty() {
            for remote in &found {
                match self.pull_from(remote, &open, mirror) {
                    Ok(done) => open.retain(|key| !done.contains(key)),
                    Err(e) => {
                        self.ignored(&remote.candidate, &e.to_string())?;
                        failure = Some(e);
                        let bad = &remote.candidate;
                        listed.retain(|(known, _)| {
                            known.remote.name != bad.remote.name || known.directory != bad.directory
                        });
                    }
                }
            }
            found = match open.is_empty() {
                true => Vec::new(),
                false => self.newest(&listed, &open)?,
            };
        }
        self.cx.refs_changed(&self.place.repo)?;
        if let Some(failure) = failure.filter(|_| !open.is_empty()) {
            let refs: Vec<String> = open.iter().map(ToString::to_string).collect();
            let what = format!("Failed to pull some refs from the remotes: {}", refs.join(", "));
            return Err(failure).context(what);
        }
        let total = wanted.len();
        self.cx.ui.line(format_args!("Pulled {expected}/{total} refs successfully."))
    }

    /// Pulls what is still open and here the newest; gives what was pulled.
    fn pull_from(
        &self,
        found: &FoundRemote,
        open: &BTreeSet<CollectionRef>,
        mirror: bool,
    ) -> Result<BTreeSet<CollectionRef>> {
        let wanted = found.refs.iter().filter(|(key, _)| open.contains(key));
        let wanted: Vec<_> = wanted.filter_map(|(key, commit)| Some((key, (*commit)?))).collect();
        if wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let refs = wanted.iter().map(|(key, commit)| PullRef {
            name: key.name.to_string(),
            collection: Some(key.collection.clone()),
            commit: Some(*commit),
        });
        let remote = &found.candidate.remote;
        let options = PullOptions {
            refs: refs.collect(),
            mirror,
            trusted: false,
            remote: Some(RemoteName::new(&remote.name)?),
            verifier: Some(Arc::new(self.verifier(&found.candidate)?)),
            ..PullOptions::default()
        };
        let url = found.candidate.directory_url();
        self.remote(&found.candidate, url.as_deref()).run(&options)?;
        Ok(wanted.into_iter().map(|(key, _)| key.clone()).collect())
    }

    /// Commits have to be signed by OpenPGP keys, whatever the remote is configured with, and
    /// nothing else has to.
    fn verifier(&self, candidate: &Candidate) -> Result<RemoteVerifier> {
        let sources = keys::sources(self.place.remotes_d.as_ref());
        let overrides =
            VerifyOverrides { gpg: Some(true), gpg_summary: Some(false), no_sign: true };
        let repo = &self.place.repo;
        Ok(RemoteVerifier::new(repo, &candidate.remote, &sources, &overrides)?)
    }
}
