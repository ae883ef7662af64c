//! What `find-remotes` prints.

use std::collections::BTreeSet;

use serde::Serialize;
use trefoil_repo::CollectionRef;
use trefoil_repo::finder::{Candidate, FoundRemote};

use crate::context::Context;
use crate::dates;
use crate::error::Result;

#[derive(Debug, Serialize)]
struct FoundView {
    url: String,
    finder: &'static str,
    remote: String,
    keyring: String,
    priority: i32,
    summary_last_modified: Option<u64>,
    refs: Vec<FoundRefView>,
}

#[derive(Debug, Serialize)]
struct FoundRefView {
    collection: String,
    name: String,
    commit: Option<String>,
}

/// The address as it is printed.
fn url(candidate: &Candidate) -> Result<String> {
    let remote = &candidate.remote;
    match candidate.directory_url().or_else(|| remote.option("metalink")) {
        Some(url) => Ok(url),
        None => Ok(remote.url()?),
    }
}

/// Prints what was found, and what was not, in libostree's words.
pub fn text(cx: &Context, found: &[FoundRemote], wanted: &BTreeSet<CollectionRef>) -> Result<()> {
    if found.is_empty() {
        return cx.ui.line("No results.");
    }
    let mut known = BTreeSet::new();
    for (number, result) in found.iter().enumerate() {
        let candidate = &result.candidate;
        let modified = match result.last_modified {
            0 => "unknown".to_string(),
            time => dates::utc_iso(time),
        };
        cx.ui.line(format_args!(
            "Result {number}: {}\n - Finder: {}\n - Keyring: {}\n - Priority: {}\n \
             - Summary last modified: {modified}\n - Refs:",
            url(candidate)?,
            candidate.finder().type_name(),
            candidate.keyring(),
            candidate.finder().priority(),
        ))?;
        for (key, commit) in &result.refs {
            let commit = commit.map(|commit| commit.to_hex());
            known.extend(commit.is_some().then_some(key));
            let commit = commit.as_deref().unwrap_or("(not found)");
            cx.ui.line(format_args!("    - {key} = {commit}"))?;
        }
        cx.ui.line("")?;
    }
    cx.ui.line(format_args!("{}/{} refs were found.", known.len(), wanted.len()))?;
    if known.len() < wanted.len() {
        cx.ui.line("Refs not found in any remote:")?;
        for key in wanted.iter().filter(|key| !known.contains(key)) {
            cx.ui.line(format_args!(" - {key}"))?;
        }
    }
    Ok(())
}

/// Prints what was found as JSON.
pub fn json(cx: &Context, found: &[FoundRemote]) -> Result<()> {
    let views = found.iter().map(view).collect::<Result<Vec<_>>>()?;
    cx.ui.json(&views)
}

fn view(found: &FoundRemote) -> Result<FoundView> {
    let candidate = &found.candidate;
    let refs = found.refs.iter().map(|(key, commit)| FoundRefView {
        collection: key.collection.to_string(),
        name: key.name.to_string(),
        commit: commit.map(|commit| commit.to_hex()),
    });
    Ok(FoundView {
        url: url(candidate)?,
        finder: candidate.finder().type_name(),
        remote: candidate.remote.name.clone(),
        keyring: candidate.keyring(),
        priority: candidate.finder().priority(),
        summary_last_modified: Some(found.last_modified).filter(|time| *time > 0),
        refs: refs.collect(),
    })
}
