use std::cell::OnceCell;
use std::cmp::Reverse;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::name::RefName;
use trefoil_format::object::{ObjectName, ObjectType};

use super::{Outcome, PullError, PullOptions};
use crate::bindings::verify_bindings;
use crate::{CommitState, Repo, RepoError, Transaction};

/// Refs of other names that are tried before a commit is compared with nothing.
const MOST_OTHERS: usize = 8;

/// A commit in the transaction or the repository.
pub(super) fn load_commit(txn: &Transaction<'_>, checksum: &Checksum) -> Outcome<Commit> {
    let bytes = txn.load_metadata(ObjectType::Commit, checksum)?;
    let name = ObjectName::new(*checksum, ObjectType::Commit);
    Ok(Commit::parse(&bytes).map_err(|source| RepoError::Corrupt { name, source })?)
}

/// Refuses a commit that was not made for the refs that lead to it or for the remote's
/// `collection`, or that is older than it may be.
pub(super) fn commit(
    dest: &Repo,
    options: &PullOptions,
    collection: Option<&str>,
    checksum: &Checksum,
    commit: &Commit,
    names: &[RefName],
    is_tip: bool,
) -> Outcome<()> {
    if options.verify_bindings {
        let binding = |source| PullError::Binding { commit: *checksum, source };
        if names.is_empty() {
            verify_bindings(commit, collection, None).map_err(binding)?;
        }
        for name in names {
            verify_bindings(commit, collection, Some(name.as_str())).map_err(binding)?;
        }
    }
    let mut floor: Vec<Checksum> = options.timestamp_check_from.into_iter().collect();
    if options.timestamp_check && is_tip {
        for name in names {
            floor.extend(dest.resolve_rev_opt(name.as_str())?);
        }
    }
    for old in floor {
        let old_time = dest.load_commit(&old)?.timestamp;
        if commit.timestamp < old_time {
            let (new, new_time) = (*checksum, commit.timestamp);
            return Err(PullError::Older { new, new_time, old, old_time });
        }
    }
    Ok(())
}

/// Complete commits that are here, to compare new ones with.
pub(super) struct Bases<'a> {
    dest: &'a Repo,
    options: &'a PullOptions,
    /// What all refs here lead to, by their names; listed once, where it is needed.
    all: OnceCell<Vec<(RefName, Checksum)>>,
}

impl<'a> Bases<'a> {
    /// Those of `dest`.
    pub fn new(dest: &'a Repo, options: &'a PullOptions) -> Self {
        Bases { dest, options, all: OnceCell::new() }
    }

    /// The root of a complete commit that is much like this one: what the refs that lead to it
    /// point to so far, else its parent, else what a ref of a similar name points to. Any
    /// complete commit will do, since all of its objects are here; the more alike, the less is
    /// to be looked at.
    pub fn find(&self, commit: &Commit, names: &[RefName]) -> Outcome<Option<Checksum>> {
        for name in names {
            let known = self.dest.resolve_refspec(&self.options.refspec(name.clone()), false)?;
            if let Some(root) = self.root_of(known)? {
                return Ok(Some(root));
            }
        }
        if let Some(root) = self.root_of(commit.parent)? {
            return Ok(Some(root));
        }
        let name = names.first().map_or("", RefName::as_str);
        let mut others: Vec<_> = self.all()?.iter().collect();
        others.sort_by_key(|(other, _)| Reverse(alike(name, other.as_str())));
        for (_, other) in others.into_iter().take(MOST_OTHERS) {
            if let Some(root) = self.root_of(Some(*other))? {
                return Ok(Some(root));
            }
        }
        Ok(None)
    }

    /// Whether a ref that follows `name` is here already, of a mirrored collection too.
    pub fn follows(&self, name: &RefName) -> Outcome<bool> {
        let refspec = self.options.refspec(name.clone());
        if self.dest.resolve_refspec(&refspec, false)?.is_some() {
            return Ok(true);
        }
        Ok(self.options.mirror && self.all()?.iter().any(|(other, _)| other == name))
    }

    fn root_of(&self, commit: Option<Checksum>) -> Outcome<Option<Checksum>> {
        let Some(commit) = commit else { return Ok(None) };
        let whole = self.dest.has_object(&ObjectName::new(commit, ObjectType::Commit))?
            && self.dest.commit_state(&commit)? == CommitState::Normal;
        match whole {
            true => Ok(Some(self.dest.load_commit(&commit)?.root_tree)),
            false => Ok(None),
        }
    }

    fn all(&self) -> Outcome<&[(RefName, Checksum)]> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let refs = self.dest.list_refs(None)?.into_iter().map(|(spec, to)| (spec.name, to));
        let mirrored = self.dest.list_mirror_refs()?.into_iter();
        let all = refs.chain(mirrored.map(|((_, name), to)| (name, to))).collect();
        Ok(self.all.get_or_init(|| all))
    }
}

/// How many bytes two names have in common at their beginning; a whole name is more than any.
fn alike(one: &str, other: &str) -> usize {
    match one == other {
        true => usize::MAX,
        false => one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count(),
    }
}
