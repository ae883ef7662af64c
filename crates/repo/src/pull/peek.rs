//! What a pull would find, without pulling: for those who want to know whether there is a new
//! version.

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::error::FormatError;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::RefName;
use trefoil_format::object::{LoosePath, MAX_METADATA_SIZE, ObjectName, ObjectType};

use super::local::SummaryFiles;
use super::remote::PullSource;
use super::remote::Wanted as WantedOfRemote;
use super::request::{RefKey, Wanted};
use super::transport::{Answer, FileRequest, Site, fetch, read_body};
use super::{Outcome, PullError, PullOptions, checks};
use crate::summary::Summary;
use crate::{Repo, RepoError};

/// A commit that a pull would bring.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    /// Which.
    pub checksum: Checksum,
    /// The commit itself, verified as a pull verifies it.
    pub commit: Commit,
}

/// Finds out what each of the refs and checksums in `options` would lead to, refs first. The
/// commits are verified as by [`super::pull_remote`]: checksum, signatures, bindings, time.
/// Nothing is written but the kept summary, unless the cache is only to be read.
///
/// # Errors
/// Those of a pull that come up before its first object.
pub fn peek_remote(
    dest: &Repo,
    source: &PullSource<'_>,
    options: &PullOptions,
) -> Outcome<Vec<Peeked>> {
    let wanted = WantedOfRemote::resolve(dest, source, options)?;
    peek(wanted.refs, wanted.commits, |key, checksum| {
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        let bytes = get(source, Site::Content, checksum, ObjectType::Commit)?
            .ok_or(RepoError::ObjectMissing { name })?;
        let detached = get(source, Site::Main, checksum, ObjectType::CommitMeta)?;
        let collection = source.collection_id.as_deref();
        let peek = Peek { dest, options, collection };
        peek.verified(key, checksum, &bytes, detached.as_deref())
    })
}

/// As [`peek_remote`], in a repository on this machine.
///
/// # Errors
/// As of [`peek_remote`].
pub fn peek_local(dest: &Repo, source: &Repo, options: &PullOptions) -> Outcome<Vec<Peeked>> {
    let files = SummaryFiles::of(source, options)?;
    let summary = files.as_ref().map(|files| Summary::parse(&files.bytes)).transpose()?;
    let wanted = Wanted::resolve(source, options, summary.as_ref())?;
    peek(wanted.refs, wanted.commits, |key, checksum| {
        let bytes = source.load_metadata(ObjectType::Commit, checksum)?;
        let detached = source.load_detached_bytes(checksum)?;
        let collection = source.config().collection_id.as_deref();
        let peek = Peek { dest, options, collection };
        peek.verified(key, checksum, &bytes, detached.as_deref())
    })
}

fn peek(
    refs: impl IntoIterator<Item = (RefKey, Checksum)>,
    commits: impl IntoIterator<Item = Checksum>,
    mut look: impl FnMut(Option<&RefKey>, &Checksum) -> Outcome<Peeked>,
) -> Outcome<Vec<Peeked>> {
    let mut found = Vec::new();
    for (key, checksum) in refs {
        found.push(look(Some(&key), &checksum)?);
    }
    for checksum in commits {
        found.push(look(None, &checksum)?);
    }
    Ok(found)
}

/// A metadata object of the remote, `None` where it has none.
fn get(
    source: &PullSource<'_>,
    site: Site,
    checksum: &Checksum,
    kind: ObjectType,
) -> Outcome<Option<Vec<u8>>> {
    let path = format!("objects/{}", &*LoosePath::new(&ObjectName::new(*checksum, kind), true));
    let request = FileRequest::new(site, path.clone(), MAX_METADATA_SIZE);
    match fetch(source.transport, request) {
        Ok(Answer::File { body, .. }) => Ok(Some(read_body(&path, body)?)),
        Ok(Answer::NotModified) => Ok(None),
        Err(e) if e.is_missing() && kind == ObjectType::CommitMeta => Ok(None),
        Err(e) => Err(e.into()),
    }
}

struct Peek<'a> {
    dest: &'a Repo,
    options: &'a PullOptions,
    collection: Option<&'a str>,
}

impl Peek<'_> {
    fn verified(
        &self,
        key: Option<&RefKey>,
        checksum: &Checksum,
        bytes: &[u8],
        detached: Option<&[u8]>,
    ) -> Outcome<Peeked> {
        let actual = Checksum::of(bytes);
        if actual != *checksum {
            let (kind, expected) = (ObjectType::Commit.suffix(), *checksum);
            return Err(RepoError::ChecksumMismatch { kind, expected, actual }.into());
        }
        let invalid = |source: FormatError| {
            let name = ObjectName::new(*checksum, ObjectType::Commit);
            PullError::Metadata { name, source }
        };
        let commit = Commit::parse(bytes).map_err(invalid)?;
        let names: Vec<RefName> = key.map(|key| key.name.clone()).into_iter().collect();
        let (dest, options) = (self.dest, self.options);
        checks::commit(dest, options, self.collection, checksum, &commit, &names, true)?;
        if let Some(verifier) = options.verifier.as_ref().filter(|v| v.wants_commit()) {
            let detached = match detached {
                Some([]) => Some(Metadata::default()),
                Some(bytes) => Some(Metadata::parse(bytes).map_err(invalid)?),
                None => dest.load_detached(checksum)?,
            };
            verifier.verify_commit(checksum, bytes, detached.as_ref())?;
        }
        Ok(Peeked { checksum: *checksum, commit })
    }
}
