use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FileKind};

use super::apply::{MergeStats, Sources};
use super::copy::{DirAttributes, Place, Take, copy_node, equal_nodes};
use super::desired::{Desired, Want};
use super::draft::{Draft, DraftEntry};
use super::index::{Entry, Relation};
use super::plan::MergePlan;
use super::scan::open;
use super::sides::{Found, Source};
use super::{Result, scan};

/// Makes and mends nodes of the new `etc`.
pub(crate) struct Builder<'a> {
    desired: Desired<'a>,
    sources: Sources<'a>,
    xattrs: bool,
    pub(crate) draft: Draft,
    pub(crate) stats: MergeStats,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(plan: &'a MergePlan, sources: Sources<'a>) -> Self {
        let defaults = match sources.objects {
            Some((repo, tree)) => Source::Tree(repo, tree),
            None => Source::Disk(sources.new_defaults),
        };
        let draft = Draft {
            entries: BTreeMap::new(),
            gone: BTreeSet::new(),
            sound: sources.objects.is_some(),
        };
        Builder {
            desired: Desired::new(&plan.overlay, defaults),
            sources,
            xattrs: plan.options.xattrs,
            draft,
            stats: MergeStats::default(),
        }
    }

    /// Where the local `etc` is asked for there is one: only it puts copies into a plan.
    fn local(&self) -> &'a Dir {
        self.sources.local.unwrap_or(self.sources.new_defaults)
    }

    /// Fills the new, empty directory `dir` that is to be `path`, and gives it its attributes.
    pub(crate) fn make_content(&mut self, dir: &Dir, path: &Path, want: Want<'a>) -> Result<()> {
        let (attributes, relation, id) = self.attributes(path, want)?;
        // First, since entries below look at it.
        self.draft.note(path, relation, id);
        let defaults = want.shows_defaults().then_some(self.sources.new_defaults);
        for (name, kind) in self.desired.names_in(path, defaults)? {
            let child = path.join(&name);
            let want = self.desired.at(&child)?;
            self.make(Place { dir, name: &name, taken: false }, &child, want, kind)?;
        }
        attributes.give(dir, true)
    }

    fn make(
        &mut self,
        place: Place<'_>,
        path: &Path,
        want: Want<'a>,
        kind: Option<FileKind>,
    ) -> Result<()> {
        match want {
            Want::Absent => Ok(()),
            Want::Default(Found::Other(id)) => {
                let from = self.sources.new_defaults;
                let kind = kind.map_or_else(|| Ok(from.stat(path)?.kind()), Result::Ok)?;
                let take = Take { xattrs: self.xattrs, mtime: false };
                let copied = copy_node(from, path, kind, place, take)?;
                self.stats.count(kind, copied.bytes);
                self.draft.note(path, Relation::Default, id.unwrap_or(copied.id));
                Ok(())
            }
            Want::Copy { source, stat, may_equal_default, .. } => {
                let take = Take { xattrs: self.xattrs, mtime: true };
                let copied = copy_node(self.local(), source, stat.kind(), place, take)?;
                self.stats.count(stat.kind(), copied.bytes);
                let relation = self.relation(path, source, may_equal_default)?;
                self.draft.note(path, relation, copied.id);
                Ok(())
            }
            Want::Default(Found::Dir(_)) | Want::Dir { .. } => {
                place.dir.mkdir(place.name, 0o700)?;
                self.stats.dirs_made += 1;
                let dir = place.dir.open_dir(place.name)?;
                self.make_content(&dir, path, want)
            }
        }
    }

    /// How a copied local file stands to the new default.
    fn relation(&mut self, path: &Path, source: &Path, may_equal: bool) -> Result<Relation> {
        match self.desired.defaults.find(path)? {
            None => return Ok(Relation::Added),
            Some(Found::Other(_)) if may_equal => {}
            Some(_) => return Ok(Relation::Modified),
        }
        let (defaults, local) = (self.sources.new_defaults, self.local());
        let (a, b) = (defaults.stat(path)?, local.stat(source)?);
        let equal = equal_nodes((defaults, path, &a), (local, source, &b))?;
        Ok(if equal { Relation::Same } else { Relation::Modified })
    }

    /// The attributes a directory is to have, how it stands to its default, and its id.
    fn attributes(
        &mut self,
        path: &Path,
        want: Want<'a>,
    ) -> Result<(DirAttributes, Relation, Checksum)> {
        let of = |root: &Dir, path: &Path| DirAttributes::of(&open(root, path)?, self.xattrs);
        let Want::Dir { source, before, over } = want else {
            let default = of(self.sources.new_defaults, path)?;
            let id = match want {
                Want::Default(found) => found.id(),
                _ => None,
            };
            let id = id.unwrap_or_else(|| default.id());
            return Ok((default, Relation::Default, id));
        };
        let mut local = of(self.local(), source)?;
        for earlier in before {
            local = local.over(&of(self.local(), earlier)?);
        }
        let Some(found) = over else {
            let relation = match self.desired.defaults.find(path)? {
                None => Relation::Added,
                Some(Found::Other(_)) => Relation::Replaced,
                Some(Found::Dir(_)) => {
                    self.draft.sound = false;
                    Relation::Replaced
                }
            };
            let id = local.id();
            return Ok((local, relation, id));
        };
        let default = of(self.sources.new_defaults, path)?;
        let same = local.same_metadata(&default);
        let merged = local.over(&default);
        let id = merged.id();
        Ok(match (same, found.id()) {
            (true, Some(object)) if id == default.id() => (merged, Relation::Default, object),
            (true, _) => (merged, Relation::Same, id),
            (false, _) => (merged, Relation::Modified, id),
        })
    }

    /// Takes over the entries of an older tree as they are; [`Builder::fix`] mends the rest.
    pub(crate) fn adopt(&mut self, entries: &BTreeMap<PathBuf, Entry>) {
        self.draft.entries = entries
            .iter()
            .map(|(path, e)| {
                let stamp = Some(e.stamp);
                (path.clone(), DraftEntry { relation: e.relation, id: e.id, stamp })
            })
            .collect();
    }

    /// Brings one path of an older tree to what is wanted there. `have` is what the index
    /// knows to be there, `doubt` that it does not. True where nothing below needs a look.
    pub(crate) fn fix(
        &mut self,
        etc: &Dir,
        path: &Path,
        have: Option<&Entry>,
        doubt: Doubt,
    ) -> Result<bool> {
        let want = self.desired.at(path)?;
        let may_exist = have.is_some() || doubt != Doubt::None;
        if want.is_dir() {
            let in_place = have.is_some_and(|e| keeps_entries(e, want));
            if in_place && doubt != Doubt::Node {
                self.fix_attributes(etc, path, want, have, doubt)?;
                return Ok(false);
            }
        } else if doubt == Doubt::None && self.keep(path, want, have)? {
            return Ok(true);
        }
        let replaceable = doubt == Doubt::None && have.is_some_and(|e| !e.is_dir());
        let taken = replaceable && !want.is_dir() && !matches!(want, Want::Absent);
        if may_exist && !taken {
            let removed = etc.remove_all(path)?;
            self.stats.removed += removed.dirs + removed.files;
        }
        self.draft.drop_tree(path);
        self.draft.touch_parent(path);
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            self.make_in(etc, parent, name, path, want, taken)?;
        }
        Ok(true)
    }

    fn make_in(
        &mut self,
        etc: &Dir,
        parent: &Path,
        name: &OsStr,
        path: &Path,
        want: Want<'a>,
        taken: bool,
    ) -> Result<()> {
        if matches!(want, Want::Absent) {
            return Ok(());
        }
        let dir = scan::open(etc, parent)?;
        self.make(Place { dir: &dir, name, taken }, path, want, None)
    }

    /// Whether the node that is there is the wanted one.
    fn keep(&mut self, path: &Path, want: Want<'a>, have: Option<&Entry>) -> Result<bool> {
        let Some(have) = have.filter(|e| !e.is_dir()) else { return Ok(false) };
        let relation = match want {
            Want::Default(Found::Other(Some(id))) => {
                if have.relation != Relation::Default || have.id != id {
                    return Ok(false);
                }
                Relation::Default
            }
            Want::Copy { source, stat, id: Some(id), may_equal_default } => {
                let same_time = stat.is_symlink() || have.stamp.mtime == stat.mtime;
                if have.relation == Relation::Default || have.id != id || !same_time {
                    return Ok(false);
                }
                self.relation(path, source, may_equal_default)?
            }
            _ => return Ok(false),
        };
        if let Some(entry) = self.draft.entries.get_mut(path) {
            entry.relation = relation;
        }
        self.stats.kept += 1;
        Ok(true)
    }

    fn fix_attributes(
        &mut self,
        etc: &Dir,
        path: &Path,
        want: Want<'a>,
        have: Option<&Entry>,
        doubt: Doubt,
    ) -> Result<()> {
        let have = have.filter(|_| doubt == Doubt::None);
        if let (Want::Default(found), Some(have)) = (want, have)
            && have.relation == Relation::Default
            && Some(have.id) == found.id()
        {
            return Ok(());
        }
        let (attributes, relation, id) = self.attributes(path, want)?;
        let same = have.is_some_and(|have| {
            have.id == id && (have.relation == Relation::Default) == (relation == Relation::Default)
        });
        if same {
            if let Some(entry) = self.draft.entries.get_mut(path) {
                entry.relation = relation;
            }
            return Ok(());
        }
        attributes.give(&open(etc, path)?, false)?;
        self.stats.attributes_set += 1;
        let entry = DraftEntry { relation, id, stamp: None };
        self.draft.entries.insert(path.to_path_buf(), entry);
        Ok(())
    }

    /// Completes the draft: which defaults the result leaves out, and what it need not name.
    pub(crate) fn finish(&mut self, plan: &MergePlan) -> Result<()> {
        for path in plan.overlay.absent() {
            if self.desired.defaults.find(path)?.is_some() {
                self.draft.gone.insert(path.clone());
            }
        }
        self.draft.leave_replaced_undescribed();
        Ok(())
    }
}

/// How far an entry of an older tree is not what its index says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    None,
    /// A directory still, of unknown attributes.
    Attributes,
    /// It may be anything, or nothing.
    Node,
}

/// Whether the entries of a directory stay, each looked at where it changed: only while the
/// same defaults show in it.
fn keeps_entries(have: &Entry, want: Want<'_>) -> bool {
    have.is_dir()
        && match have.relation {
            Relation::Default | Relation::Same | Relation::Modified => want.shows_defaults(),
            Relation::Added => !want.shows_defaults(),
            Relation::Replaced => false,
        }
}
