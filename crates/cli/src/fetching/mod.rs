//! From the settings of a remote and the options of a verb to a pull, over HTTP or from a
//! directory.

mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use trefoil_fetch::{Caller, HttpTransport, RemoteAddress};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::ObjectType;
use trefoil_fsat::Dir;
use trefoil_repo::finder::fetch_commit;
use trefoil_repo::pull::transport::Transport;
use trefoil_repo::pull::{
    self, DirTransport, Peeked, PullOptions, PullProgress, PullSource, PullStats, SummaryCache,
};
use trefoil_repo::remote::{Remote, open_url};
use trefoil_repo::verify::{RemoteVerifier, VerifyOverrides};
use trefoil_repo::{Repo, pull::RemoteSummary};

use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::Result;
use crate::{environment, keys};
pub use settings::cookies;

/// Options of verbs that fetch over HTTP.
#[derive(Args, Clone, Debug, Default)]
pub struct HttpArgs {
    /// Use custom cache dir
    #[arg(long, value_name = "PATH")]
    pub cache_dir: Option<PathBuf>,
    /// Do not verify checksums of HTTP sources (mostly useful when mirroring)
    #[arg(long)]
    pub http_trusted: bool,
    /// Add NAME=VALUE as HTTP header to all requests
    #[arg(long, value_name = "NAME=VALUE")]
    pub http_header: Vec<String>,
    /// Sets the update frequency, in milliseconds (0=250ms) (default: 0)
    #[arg(long, value_name = "FREQUENCY")]
    pub update_frequency: Option<i64>,
    /// Specifies how many times each download should be retried upon error (default: 5)
    #[arg(long, value_name = "N")]
    pub network_retries: Option<i64>,
    /// The average transfer speed per second below which a transfer is ended (default: 1000)
    #[arg(long, value_name = "N")]
    pub low_speed_limit_bytes: Option<i64>,
    /// The seconds for which a transfer may be slower than that (default: 30)
    #[arg(long, value_name = "N")]
    pub low_speed_time_seconds: Option<i64>,
    /// The max amount of concurrent connections allowed. (default: 8)
    #[arg(long, value_name = "N")]
    pub max_outstanding_fetcher_requests: Option<i64>,
    /// Do not retry when network issues happen, instead fail automatically
    #[arg(long)]
    pub disable_retry_on_network_errors: bool,
    #[arg(long, hide = true)]
    pub append_user_agent: Option<String>,
    /// Add REPO as local cache source for objects during this pull
    #[arg(short = 'L', long, value_name = "REPO")]
    pub localcache_repo: Vec<PathBuf>,
}

/// A pull from one remote.
pub struct RemotePull<'a> {
    /// The surroundings.
    pub cx: &'a Context,
    /// Where it goes.
    pub place: &'a Place,
    /// Where it comes from.
    pub remote: &'a Remote,
    /// Another address than the remote's (`--url`).
    pub url: Option<&'a str>,
    /// How to fetch.
    pub http: &'a HttpArgs,
}

impl RemotePull<'_> {
    /// Pulls. What the remote is configured with and cannot be done is refused first.
    pub fn run(&self, options: &PullOptions) -> Result<PullStats> {
        self.remote.check_usable()?;
        if let Some(url) = self.file_url()? {
            let source = open_url(&self.cx.fs, &url)?;
            let options = self.verifying(options)?;
            // Objects are copied as they are; only deltas are fetched as if from a server.
            if options.require_static_deltas {
                let transport = DirTransport::new(source.dir().try_clone()?);
                return self.fetch(&transport, None, &options);
            }
            let progress = self.cx.progress("pull");
            let stats = pull::pull_local(&self.place.repo, &source, &options)?;
            drop(progress);
            return Ok(stats);
        }
        let mut transport = self.transport()?;
        let options = self.verifying(options)?;
        let summary = transport.take_summary();
        self.fetch(&transport, summary, &options)
    }

    fn fetch(
        &self,
        transport: &dyn Transport,
        summary: Option<Vec<u8>>,
        options: &PullOptions,
    ) -> Result<PullStats> {
        let caches = self.http.localcache_repo.iter();
        let localcache: Vec<Repo> =
            caches.map(|path| self.cx.open_repo_at(path)).collect::<Result<_>>()?;
        let cache = self.cache_dir()?;
        let progress = Arc::new(PullProgress::default());
        let source = PullSource {
            transport,
            localcache: &localcache,
            summary,
            cache: cache.as_ref().map(|dir| SummaryCache::new(dir, &self.remote.name)),
            collection_id: self.remote.option("collection-id"),
            http_trusted: self.http.http_trusted && !options.untrusted(),
            progress: Some(Arc::clone(&progress)),
        };
        let frequency = self.http.update_frequency.and_then(|ms| u64::try_from(ms).ok());
        let interval = frequency.filter(|ms| *ms > 0).map(Duration::from_millis);
        let shown = self.cx.pull_progress(&progress, interval);
        let stats = pull::pull_remote(&self.place.repo, &source, options)?;
        drop(shown);
        Ok(stats)
    }

    /// What a pull would bring, refs first; nothing is written.
    pub fn peek(&self, options: &PullOptions) -> Result<Vec<Peeked>> {
        self.remote.check_usable()?;
        let options = self.verifying(options)?;
        if let Some(url) = self.file_url()? {
            let source = open_url(&self.cx.fs, &url)?;
            return Ok(pull::peek_local(&self.place.repo, &source, &options)?);
        }
        let mut transport = self.transport()?;
        // Where it cannot be had, nothing is compared with what was seen before.
        let cache = self.cache_dir().ok().flatten();
        let cache = cache.as_ref().map(|dir| SummaryCache::new(dir, &self.remote.name).only_read());
        let source = PullSource {
            summary: transport.take_summary(),
            transport: &transport,
            localcache: &[],
            cache,
            collection_id: self.remote.option("collection-id"),
            http_trusted: false,
            progress: None,
        };
        Ok(pull::peek_remote(&self.place.repo, &source, &options)?)
    }

    /// The summary of the remote, `None` where it has none.
    pub fn summary(&self) -> Result<Option<RemoteSummary>> {
        if let Some(url) = self.file_url()? {
            let source = open_url(&self.cx.fs, &url)?;
            return self.fetch_summary(&DirTransport::new(source.dir().try_clone()?), None, None);
        }
        let mut transport = self.transport()?;
        let summary = transport.take_summary();
        self.fetch_summary(&transport, summary, self.cache_dir()?)
    }

    fn fetch_summary(
        &self,
        transport: &dyn Transport,
        summary: Option<Vec<u8>>,
        cache: Option<Dir>,
    ) -> Result<Option<RemoteSummary>> {
        let source = PullSource {
            transport,
            localcache: &[],
            summary,
            cache: cache.as_ref().map(|dir| SummaryCache::new(dir, &self.remote.name)),
            collection_id: None,
            http_trusted: false,
            progress: None,
        };
        let verifier = self.verifier()?;
        Ok(RemoteSummary::fetch(&source, Some(&verifier), self.refuse_cached())?)
    }

    /// Whether refs are taken from a signed summary only.
    pub fn verifies_summary(&self) -> Result<bool> {
        Ok(self.verifier()?.wants_summary())
    }

    /// A way to ask the host at `url` more than a repository answers, by the settings of the
    /// remote.
    pub fn caller(&self, url: &str) -> Result<Caller> {
        self.remote.check_usable()?;
        let settings = self.settings(&RemoteAddress::Url(url.to_string()))?;
        Ok(Caller::new(settings, url)?)
    }

    /// The bytes of a commit of the remote, for what they tell; they are not verified.
    pub fn commit(&self, commit: &Checksum) -> Result<Vec<u8>> {
        match self.file_url()? {
            Some(url) => {
                let source = open_url(&self.cx.fs, &url)?;
                Ok(source.load_metadata(ObjectType::Commit, commit)?)
            }
            None => Ok(fetch_commit(&self.transport()?, commit)?),
        }
    }

    /// `options` with what the settings of the remote say about signatures, unless they say it.
    fn verifying(&self, options: &PullOptions) -> Result<PullOptions> {
        let verifier = match &options.verifier {
            Some(verifier) => Some(Arc::clone(verifier)),
            None => Some(Arc::new(self.verifier()?)),
        };
        let refuse_invalid_cache = self.refuse_cached();
        Ok(PullOptions { verifier, refuse_invalid_cache, ..options.clone() })
    }

    fn verifier(&self) -> Result<RemoteVerifier> {
        let sources = keys::sources(self.place.remotes_d.as_ref());
        let overrides = VerifyOverrides::default();
        Ok(RemoteVerifier::new(&self.place.repo, self.remote, &sources, &overrides)?)
    }

    /// The test suite of libostree wants to see a pull die of a broken cache.
    fn refuse_cached(&self) -> bool {
        environment::has_flag("OSTREE_REPO_TEST_ERROR", "invalid-cache")
    }

    /// The address of a repository on this machine, where the remote is one.
    fn file_url(&self) -> Result<Option<String>> {
        if self.url.is_none() && self.remote.option("metalink").is_some() {
            return Ok(None);
        }
        let url = self.base_url()?;
        Ok(url.starts_with("file://").then_some(url))
    }

    fn base_url(&self) -> Result<String> {
        match self.url {
            Some(url) => Ok(url.to_string()),
            None => Ok(self.remote.url()?),
        }
    }

    fn transport(&self) -> Result<HttpTransport> {
        let metalink = self.remote.option("metalink");
        let content = self.remote.option("contenturl");
        let (main, content) = match (self.url, metalink) {
            // An address that is given stands for both.
            (Some(url), None) => (RemoteAddress::from_setting(url), None),
            (_, Some(url)) => (RemoteAddress::Metalink(url), content),
            (None, None) => (RemoteAddress::from_setting(&self.remote.url()?), content),
        };
        let content = content.map(|url| RemoteAddress::from_setting(&url));
        let settings = self.settings(&main)?;
        Ok(HttpTransport::open(settings, &main, content.as_ref())?)
    }

    /// The directory that the files of summaries are kept below, unless the environment says
    /// that none is wanted.
    fn cache_dir(&self) -> Result<Option<Dir>> {
        if environment::text("OSTREE_SKIP_CACHE").is_some() {
            return Ok(None);
        }
        if let Some(path) = &self.http.cache_dir {
            let base = self.cx.fs.open_dir(if path.is_absolute() { "/" } else { "." })?;
            base.ensure_dirs(path.strip_prefix("/").unwrap_or(path), 0o775)?;
            return Ok(Some(self.cx.fs.open_dir(path)?));
        }
        let repo = self.place.repo.dir();
        repo.ensure_dirs("tmp/cache", 0o775)?;
        Ok(Some(repo.open_dir("tmp/cache")?))
    }
}
