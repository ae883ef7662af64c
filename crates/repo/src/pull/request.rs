use std::collections::{BTreeMap, BTreeSet};

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};

use super::PullOptions;
use crate::summary::Summary;
use crate::{Repo, RepoError, Result};

/// One thing to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRef {
    /// A ref of the source, or the checksum of a commit.
    pub name: String,
    /// For a ref: this commit instead of the one it points to at the source.
    pub commit: Option<Checksum>,
}

impl From<&str> for PullRef {
    fn from(name: &str) -> Self {
        PullRef { name: name.to_string(), commit: None }
    }
}

/// The commits to pull.
pub(super) struct Wanted {
    /// By the refs that will point to them.
    pub refs: BTreeMap<RefName, Checksum>,
    /// Asked for by checksum.
    pub commits: BTreeSet<Checksum>,
}

impl Wanted {
    /// `summary` is one whose word counts more than the refs of the source.
    pub fn resolve(
        source: &Repo,
        options: &PullOptions,
        summary: Option<&Summary>,
    ) -> Result<Wanted> {
        let mut wanted = Wanted { refs: BTreeMap::new(), commits: BTreeSet::new() };
        if options.refs.is_empty() {
            for (refspec, commit) in source.list_refs(None)? {
                let name = local_name(&refspec.to_string())?;
                let commit = match summary {
                    Some(summary) => of_summary(summary, &name)?,
                    None => commit,
                };
                wanted.refs.insert(name, commit);
            }
            return Ok(wanted);
        }
        for asked in &options.refs {
            if let Ok(commit) = Checksum::from_hex(&asked.name) {
                wanted.commits.insert(commit);
                continue;
            }
            let name = local_name(&asked.name)?;
            let commit = match (asked.commit, summary) {
                (Some(commit), _) => commit,
                (None, Some(summary)) => of_summary(summary, &name)?,
                (None, None) => resolve(source, &name)?,
            };
            wanted.refs.insert(name, commit);
        }
        Ok(wanted)
    }
}

fn of_summary(summary: &Summary, name: &RefName) -> Result<Checksum> {
    let found = summary.refs.iter().find(|r| r.name == name.as_str());
    let missing = || RepoError::Refused(format!("No such branch '{name}' in repository summary"));
    found.map(|r| r.commit).ok_or_else(missing)
}

fn resolve(source: &Repo, name: &RefName) -> Result<Checksum> {
    source
        .resolve_refspec(&Refspec { remote: None, name: name.clone() }, true)?
        .ok_or_else(|| RepoError::RefNotFound { refspec: name.to_string() })
}

/// A name that can be a local ref, which `REMOTE:REF` cannot.
fn local_name(name: &str) -> Result<RefName> {
    RefName::new(name).map_err(|e| RepoError::format(format!("Invalid ref name {name}"), e))
}
