use trefoil_format::object::MAX_METADATA_SIZE;
use trefoil_fsat::{Dir, Timestamp};

use super::PullSource;
use crate::pull::transport::{Answer, FetchError, FileRequest, Site, Validators, fetch, read_body};
use crate::pull::{Outcome, PullError};
use crate::summary::Summary;
use crate::verify::{RemoteVerifier, VerifyError, VerifyReport};
use crate::{Repo, Result};

const DIR: &str = "summaries";
const ETAG: &str = "user.etag";

/// libostree's cache of summaries, `tmp/cache/summaries/REMOTE` and `REMOTE.sig` in a
/// repository: the `ETag` is in the attribute `user.etag`, `Last-Modified` is that of the file.
#[derive(Debug)]
pub struct SummaryCache<'a> {
    dir: &'a Dir,
    name: String,
    only_read: bool,
}

/// The summary of a remote as it came, with its signatures where it has any.
#[derive(Clone, Debug)]
pub struct RemoteSummary {
    /// The file `summary`.
    pub bytes: Vec<u8>,
    /// The file `summary.sig`.
    pub signatures: Option<Vec<u8>>,
    /// What was found of the signatures, where there have to be any.
    pub report: VerifyReport,
    validators: Validators,
    signature_validators: Validators,
    from_cache: bool,
}

struct Fetched {
    bytes: Vec<u8>,
    validators: Validators,
}

enum Found {
    New(Fetched),
    Cached(Fetched),
    None,
}

impl RemoteSummary {
    /// Fetches the summary, or finds that the one in the cache is the newest: the signatures are
    /// asked for first, since equal ones mean an equal summary. `None` where the remote has none.
    ///
    /// Signatures are verified before anything is kept; a kept summary that does not verify is
    /// fetched anew, once, unless `refuse_cached`. One that has to be signed and is older than
    /// the kept one is refused.
    pub fn fetch(
        source: &PullSource<'_>,
        verifier: Option<&RemoteVerifier>,
        refuse_cached: bool,
    ) -> Outcome<Option<RemoteSummary>> {
        let verify = |summary: Option<&RemoteSummary>| match verifier {
            None => Ok(VerifyReport::default()),
            Some(verifier) => {
                let bytes = summary.map(|s| s.bytes.as_slice());
                let signatures = summary.and_then(|s| s.signatures.as_deref());
                verifier.verify_summary(bytes, signatures)
            }
        };
        let Some(mut summary) = RemoteSummary::find(source)? else {
            verify(None)?;
            return Ok(None);
        };
        summary.report = match verify(Some(&summary)) {
            Ok(report) => report,
            Err(e) if summary.from_cache => {
                summary.fetch_anew(source, e, refuse_cached)?;
                verify(Some(&summary))?
            }
            Err(e) => return Err(e.into()),
        };
        if let Some(verifier) = verifier.filter(|v| v.wants_summary() && !summary.from_cache) {
            summary.refuse_older(source, verifier)?;
        }
        summary.keep(source)?;
        Ok(Some(summary))
    }

    /// Refuses a summary that was made before the one that is kept, where that is still believed:
    /// an old one comes with a good signature too. Times of the same second are equal.
    fn refuse_older(&self, source: &PullSource<'_>, verifier: &RemoteVerifier) -> Outcome<()> {
        let (Some(kept), Some(signatures)) = (source.cached("")?, source.cached(".sig")?) else {
            return Ok(());
        };
        if verifier.verify_summary(Some(&kept), Some(&signatures)).is_err() {
            return Ok(());
        }
        let known = Summary::parse(&kept)?.last_modified();
        let found = Summary::parse(&self.bytes)?.last_modified();
        match (known, found) {
            (Some(known), Some(found)) if found < known => {
                let remote = verifier.remote().to_string();
                Err(PullError::SummaryOlder { remote, found, known })
            }
            _ => Ok(()),
        }
    }

    /// In place of the kept summary, which `problem` was found with.
    fn fetch_anew(
        &mut self,
        source: &PullSource<'_>,
        problem: VerifyError,
        refuse_cached: bool,
    ) -> Outcome<()> {
        if refuse_cached {
            let name = source.cache.as_ref().map_or("", |cache| &cache.name);
            let what = format!(
                "Remote {name} cached summary invalid and \
                 OSTREE_REPO_TEST_ERROR_INVALID_CACHE specified"
            );
            return Err(crate::RepoError::Refused(what).into());
        }
        let Some(Answer::File { body, validators }) = request(source, "summary", None)? else {
            return Err(problem.into());
        };
        self.bytes = read_body("summary", body)?;
        self.validators = validators;
        self.from_cache = false;
        Ok(())
    }

    fn find(source: &PullSource<'_>) -> Outcome<Option<RemoteSummary>> {
        let signatures = lookup(source, "summary.sig", ".sig")?;
        let cached_signatures = source.cached(".sig")?;
        let mut same = false;
        let (signatures, signature_validators) = match signatures {
            Found::None => (None, Validators::default()),
            Found::Cached(file) => {
                same = true;
                (Some(file.bytes), file.validators)
            }
            Found::New(file) => {
                same = cached_signatures.as_deref() == Some(&file.bytes);
                (Some(file.bytes), file.validators)
            }
        };
        let cached = if same { source.cached("")? } else { None };
        let (bytes, validators, from_cache) = match (&source.summary, cached) {
            (Some(given), _) => (given.clone(), Validators::default(), false),
            (None, Some(bytes)) => (bytes, Validators::default(), true),
            (None, None) => match lookup(source, "summary", "")? {
                Found::None => return Ok(None),
                Found::Cached(file) => (file.bytes, file.validators, true),
                Found::New(file) => (file.bytes, file.validators, false),
            },
        };
        let found = RemoteSummary {
            bytes,
            signatures,
            report: VerifyReport::default(),
            validators,
            signature_validators,
            from_cache,
        };
        Ok(Some(found))
    }

    /// Keeps what was fetched for the next pull, as libostree does: only a signed summary.
    fn keep(&self, source: &PullSource<'_>) -> Outcome<()> {
        let (Some(cache), Some(signatures)) = (&source.cache, &self.signatures) else {
            return Ok(());
        };
        if self.from_cache || source.summary.is_some() || cache.only_read {
            return Ok(());
        }
        cache.dir.ensure_dirs(DIR, 0o775).map_err(crate::RepoError::from)?;
        cache.write("", &self.bytes, &self.validators)?;
        cache.write(".sig", signatures, &self.signature_validators)?;
        Ok(())
    }

    /// Makes the files those of a mirror of the whole remote.
    pub(super) fn mirror(&self, dest: &Repo) -> Result<()> {
        mirror_summary(dest, &self.bytes, self.signatures.as_deref())
    }
}

/// Makes a summary and its signatures those of `dest`.
pub(in crate::pull) fn mirror_summary(
    dest: &Repo,
    bytes: &[u8],
    signatures: Option<&[u8]>,
) -> Result<()> {
    let fsync = dest.config().fsync;
    dest.replace_file(dest.dir(), "summary", bytes, fsync)?;
    match signatures {
        Some(signatures) => dest.replace_file(dest.dir(), "summary.sig", signatures, fsync),
        None => dest.dir().unlink_opt("summary.sig").map(drop).map_err(Into::into),
    }
}

/// Fetches a file of the root, unless the version in the cache is the newest.
fn lookup(source: &PullSource<'_>, path: &str, extension: &str) -> Outcome<Found> {
    let known = source.cache.as_ref().and_then(|cache| cache.validators(extension));
    Ok(match request(source, path, known.clone())? {
        None => Found::None,
        Some(Answer::File { body, validators }) => {
            Found::New(Fetched { bytes: read_body(path, body)?, validators })
        }
        Some(Answer::NotModified) => match source.cached(extension)? {
            Some(bytes) => Found::Cached(Fetched { bytes, validators: known.unwrap_or_default() }),
            None => Found::None,
        },
    })
}

fn request(
    source: &PullSource<'_>,
    path: &str,
    known: Option<Validators>,
) -> std::result::Result<Option<Answer>, FetchError> {
    let request = FileRequest { known, ..FileRequest::new(Site::Main, path, MAX_METADATA_SIZE) };
    match fetch(source.transport, request) {
        Ok(answer) => Ok(Some(answer)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

impl PullSource<'_> {
    fn cached(&self, extension: &str) -> Outcome<Option<Vec<u8>>> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let read = cache.dir.read_opt(cache.path(extension), MAX_METADATA_SIZE);
        read.map_err(crate::RepoError::from).map_err(PullError::from)
    }
}

impl<'a> SummaryCache<'a> {
    /// The cache of what the remote `name` says, below the directory `dir`.
    pub fn new(dir: &'a Dir, name: &str) -> Self {
        SummaryCache { dir, name: name.to_string(), only_read: false }
    }

    /// The same, to be looked at only.
    pub fn only_read(self) -> Self {
        SummaryCache { only_read: true, ..self }
    }
}

impl SummaryCache<'_> {
    fn path(&self, extension: &str) -> String {
        format!("{DIR}/{}{extension}", self.name)
    }

    /// What the server said about the cached file; nothing where that cannot be read.
    fn validators(&self, extension: &str) -> Option<Validators> {
        let file = self.dir.open_file(self.path(extension)).ok()?;
        let etag = file.xattr(ETAG).ok().flatten();
        let etag = etag.and_then(|e| String::from_utf8(e).ok());
        let mtime = file.stat().ok()?.mtime.sec;
        let last_modified = u64::try_from(mtime).ok().filter(|t| *t > 0);
        Some(Validators { etag: etag.filter(|e| !e.is_empty()), last_modified })
    }

    /// One rename, not synced: it is a cache. A file that ends up damaged is refused by its
    /// signature, and fetched anew.
    fn write(&self, extension: &str, bytes: &[u8], validators: &Validators) -> Result<()> {
        let path = self.path(extension);
        let temp = format!("{path}.{}.tmp", std::process::id());
        self.dir.unlink_opt(&temp)?;
        let file = self.dir.create_file(&temp, 0o644)?;
        file.write_all(bytes)?;
        if let Some(etag) = &validators.etag {
            // Without attributes there is the time.
            let _ = file.set_xattr(ETAG.as_bytes(), etag.as_bytes());
        }
        if let Some(sec) = validators.last_modified.and_then(|t| i64::try_from(t).ok()) {
            file.set_mtime(Timestamp { sec, nsec: 0 })?;
        }
        Ok(self.dir.rename(&temp, self.dir, &path)?)
    }
}

/// Removes summaries from the cache of `repo` whose remote is not there any more, as libostree
/// does when it prunes.
///
/// # Errors
/// Those of the file system, and of the settings of remotes.
pub fn prune_summary_cache(repo: &Repo, remotes_d: Option<&Dir>) -> Result<()> {
    let Some(dir) = repo.dir().open_dir_opt(format!("tmp/cache/{DIR}"))? else { return Ok(()) };
    let remotes = crate::remote::list_remotes(repo, remotes_d)?;
    for entry in dir.entries()? {
        let Some(file) = entry.name.to_str() else { continue };
        let name = file.strip_suffix(".sig").unwrap_or(file);
        if !remotes.contains_key(name) {
            dir.unlink_opt(file)?;
        }
    }
    Ok(())
}
