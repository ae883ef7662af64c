use std::collections::BTreeSet;
use std::path::Path;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::watch::{Change, Changes, Lost};
use trefoil_fsat::{Dir, Timestamp};

use super::import::Import;
use super::index::{CommitIndex, Indexed};
use super::links::{LinkNote, LinkNotes, Links};
use super::told::{ToldPaths, import_told};
use super::{CommitModifier, ImportStats};
use crate::mutable_tree::MAX_DEPTH;
use crate::traverse::load_commit_opt;
use crate::{CommitState, MutableTree, Repo, Result, Transaction, TreeId};

/// A directory that is committed again and again while
/// [`Watch`](trefoil_fsat::watch::Watch) tells what changes in it.
///
/// Every import gives the tree that a full import of the directory gives. The first looks at
/// everything, with the index; those after it at what changed, at the cost of
/// [`import_changes`](super::import_changes), unless paths do not tell what changed: see
/// [`Looked`].
#[derive(Debug, Default)]
pub struct WatchedTree {
    base: Option<Checksum>,
    /// What changed since the commit `base`.
    pending: Changes,
    links: Links,
}

/// What was looked at, and why.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// At the paths that changed.
    Changes,
    /// At everything, for the first time.
    First,
    /// At everything, since changes were lost.
    Lost(Lost),
    /// At everything, since the commit before is not in the repository any more, or partly.
    NoBase,
    /// At everything, since a file was written to that may have other names in the tree.
    Links,
}

impl Looked {
    /// The words for a message that everything was looked at, where there is a reason worth it.
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Looked::Changes | Looked::First => None,
            Looked::Lost(lost) => Some(lost.words()),
            Looked::NoBase => Some("the commit before is gone from the repository"),
            Looked::Links => Some("a hard link was written to, and not all its names are known"),
        }
    }
}

/// A tree that was imported.
#[derive(Debug)]
#[must_use]
pub struct Watched {
    /// The tree, staged in the transaction.
    pub tree: TreeId,
    /// What was looked at.
    pub looked: Looked,
    /// How much of it.
    pub stats: ImportStats,
    /// The modifier that was used for it: after everything was looked at, its lists of paths
    /// tell what of them nothing met.
    pub modifier: CommitModifier,
    indexed: Option<Indexed>,
}

impl Watched {
    /// Keeps the index of a walk, after the transaction was committed; see [`Indexed::save`].
    pub fn save_index(&mut self, repo: &Repo) -> Result<()> {
        self.indexed.take().map_or(Ok(()), |indexed| indexed.save(repo))
    }
}

impl WatchedTree {
    /// Nothing was imported yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether something is left to import: what an import that failed, or was not followed by
    /// [`WatchedTree::committed`], had been told.
    pub fn is_pending(&self) -> bool {
        self.base.is_none() || !self.pending.is_empty()
    }

    /// Imports `dir` with what changed since the last time. `dir` and `modifier` have to be the
    /// same every time, and the lists of `modifier` are not used up; `now` is that of
    /// [`CommitIndex::open`].
    ///
    /// # Errors
    /// As those of [`import_dir`](super::import_dir). Nothing is forgotten: the next import
    /// looks at the same paths again. A tree that changes meanwhile may well fail once.
    pub fn import(
        &mut self,
        transaction: &Transaction<'_>,
        dir: &Dir,
        changes: Changes,
        modifier: &CommitModifier,
        now: Timestamp,
    ) -> Result<Watched> {
        self.pending.merge(changes);
        let base = match (self.base, self.pending.lost()) {
            (None, _) => Err(Looked::First),
            (_, Some(lost)) => Err(Looked::Lost(lost)),
            (Some(base), None) => whole_commit(transaction.repo(), &base)?.ok_or(Looked::NoBase),
        };
        let looked = match base {
            Err(looked) => looked,
            Ok(base) => match self.told(transaction, dir, base, modifier)? {
                Some(watched) => return Ok(watched),
                None => Looked::Links,
            },
        };
        let links = LinkNotes::default();
        let modifier = modifier.unused();
        let index = CommitIndex::open(transaction.repo(), dir, &modifier, now)?;
        let indexed = index.import_by(Import::new(transaction, &modifier).noting(&links), dir)?;
        self.links = Links::of_walk(links.into_notes());
        let (tree, stats) = (indexed.tree, indexed.stats);
        Ok(Watched { tree, looked, stats, modifier, indexed: Some(indexed) })
    }

    /// Says that the tree imported last is that of `commit`, which is in the repository now.
    pub fn committed(&mut self, commit: Checksum) {
        self.base = Some(commit);
        self.pending = Changes::new();
    }

    /// Imports what changed; `None` where that does not tell all.
    fn told(
        &mut self,
        transaction: &Transaction<'_>,
        dir: &Dir,
        base: TreeId,
        modifier: &CommitModifier,
    ) -> Result<Option<Watched>> {
        let mut tree = MutableTree::from_tree(base);
        let mut told = ToldPaths::default();
        let mut others = BTreeSet::new();
        for (path, change) in self.pending.paths() {
            tell(&mut told, path, change)?;
            if change.written && !self.add_others(text(path), &mut others) {
                return Ok(None);
            }
        }
        others.iter().try_for_each(|path| told.tell(path))?;
        let mut stats = ImportStats::default();
        while !told.is_empty() {
            let notes = LinkNotes::default();
            // A directory above two paths is met by each of these imports.
            let modifier = modifier.unused();
            let import = Import::new(transaction, &modifier).noting(&notes);
            stats += import_told(import, dir, &mut tree, &told)?;
            let more = match self.learn(notes.into_notes(), &others) {
                None => return Ok(None),
                Some(more) => more,
            };
            told = ToldPaths::default();
            more.iter().try_for_each(|path| told.tell(path))?;
            others.extend(more);
        }
        if self.has_unseen_link(dir)? {
            return Ok(None);
        }
        let tree = tree.write(transaction)?;
        let (looked, modifier) = (Looked::Changes, modifier.unused());
        Ok(Some(Watched { tree, looked, stats, modifier, indexed: None }))
    }

    /// Adds the other names of the file at `path`; false where not all are known.
    fn add_others(&self, path: &str, to: &mut BTreeSet<String>) -> bool {
        match self.links.others(path) {
            None => false,
            Some(others) => {
                to.extend(others);
                true
            }
        }
    }

    /// Learns the names that an import of the changes and of `others` met, and gives those that
    /// are to be looked at besides; `None` where not all are known.
    fn learn(&mut self, notes: Vec<LinkNote>, others: &BTreeSet<String>) -> Option<Vec<String>> {
        let looked_at = self.pending.paths().filter(|(_, change)| change.beneath);
        let looked_at: Vec<&str> = looked_at.map(|(path, _)| text(path)).collect();
        for path in looked_at.into_iter().chain(others.iter().map(String::as_str)) {
            self.links.forget(path);
        }
        let met: Vec<String> = notes.iter().map(|note| note.path.clone()).collect();
        self.links.add(notes);
        let mut more = BTreeSet::new();
        for path in met.iter().filter(|path| self.was_written(path)) {
            if !self.add_others(path, &mut more) {
                return None;
            }
        }
        let is_news = |path: &String| !others.contains(path) && !met.contains(path);
        Some(more.into_iter().filter(is_news).collect())
    }

    /// Whether a file may have been written to by the name `path`.
    fn was_written(&self, path: &str) -> bool {
        let written = |path: &Path| self.pending.get(path).is_some_and(|c| c.beneath && c.written);
        Path::new(path).ancestors().any(written)
    }

    /// Whether a name came, was written to and went again, whose file may have other names: it
    /// changed, and none of them was told.
    fn has_unseen_link(&self, dir: &Dir) -> Result<bool> {
        for (path, change) in self.pending.paths().filter(|(_, change)| change.written) {
            let known = self.links.is_known(text(path));
            let unseen = change.unseen && !change.moved_on;
            if !known && (change.linked || (unseen && !dir.exists(path).unwrap_or(false))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Names that are not text are in no tree and in no list of links.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or("\0")
}

fn tell(told: &mut ToldPaths, path: &Path, change: Change) -> Result<()> {
    // A path so deep is in no tree either, and may be gone when the tree is looked at again.
    let deep = path.components().count().saturating_sub(MAX_DEPTH);
    let mut at = path.ancestors().nth(deep).unwrap_or(path);
    // A name that is not text is in no tree. Telling its directory gives the error that says
    // so, as long as it is there.
    while at.to_str().is_none() {
        at = at.parent().unwrap_or(Path::new(""));
    }
    let words = match at.to_str() {
        None | Some("") => ".",
        Some(words) => words,
    };
    match change.beneath || at != path {
        true => told.tell(words),
        false => told.tell_itself(words),
    }
}

/// The tree of a commit that is in the repository with all that belongs to it.
fn whole_commit(repo: &Repo, commit: &Checksum) -> Result<Option<TreeId>> {
    if repo.commit_state(commit)? != CommitState::Normal {
        return Ok(None);
    }
    Ok(load_commit_opt(repo, commit)?.map(|commit| TreeId::of_commit(&commit)))
}
