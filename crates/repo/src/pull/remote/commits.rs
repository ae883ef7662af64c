use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::RefName;
use trefoil_format::object::{ObjectName, ObjectType};

use super::deltas::{Root, is_whole};
use super::engine::Engine;
use super::receive::{Job, Place};
use crate::pull::beside::TreeAt;
use crate::pull::{Outcome, checks};
use crate::traverse::Depth;

impl Engine<'_> {
    /// Sees to it that a commit comes, and `depth` of its parents.
    pub(super) fn want_commit(
        &mut self,
        checksum: Checksum,
        depth: Depth,
        name: Option<&RefName>,
        is_tip: bool,
    ) -> Outcome<()> {
        let is_new = !self.commits.contains_key(&checksum);
        let entry = self.commits.entry(checksum).or_default();
        entry.names.extend(name.cloned());
        entry.is_tip |= is_tip;
        if is_new {
            entry.depth = Some(depth);
            return match is_tip && self.wanted.use_deltas {
                true => self.begin_delta(checksum),
                false => self.begin_commit(checksum),
            };
        }
        if entry.depth.is_none_or(|known| known < depth) {
            entry.depth = Some(depth);
            if entry.done {
                return self.follow_parent(checksum);
            }
        }
        Ok(())
    }

    pub(super) fn begin_commit(&mut self, checksum: Checksum) -> Outcome<()> {
        let place = self.receive.place(&ObjectName::new(checksum, ObjectType::Commit))?;
        match place {
            Place::Here => {
                if let Some(entry) = self.commits.get_mut(&checksum) {
                    entry.stored = true;
                }
                // Signatures may have been added since the commit came.
                self.want_metadata(Job::Detached(checksum));
            }
            Place::Cache(_) => self.want(Job::Commit(checksum), place),
            Place::Remote => {
                self.want_metadata(Job::Detached(checksum));
                self.want_metadata(Job::Commit(checksum));
            }
        }
        Ok(())
    }

    /// Goes on with a commit once it and its signatures are here.
    pub(super) fn try_commit(&mut self, checksum: Checksum) -> Outcome<()> {
        let Some(entry) = self.commits.get_mut(&checksum) else { return Ok(()) };
        if entry.done || !(entry.stored || entry.fetched.is_some()) {
            return Ok(());
        }
        let Some(detached) = entry.detached.take() else { return Ok(()) };
        let of_delta = || self.deltas.get(&checksum).and_then(|d| d.plan.superblock.detached());
        let detached = detached.or_else(of_delta);
        let (fetched, names) = (entry.fetched.take(), entry.names.clone());
        let is_tip = entry.is_tip;
        let txn = self.receive.txn;
        let stored = match &fetched {
            Some(_) => None,
            None => Some(checks::load_commit(txn, &checksum)?),
        };
        let commit = match (&fetched, &stored) {
            (Some((_, commit)), _) => commit,
            (None, Some(commit)) => commit,
            (None, None) => return Ok(()),
        };
        checks::commit(
            txn.repo(),
            self.options,
            self.source.collection_id.as_deref(),
            &checksum,
            commit,
            &names,
            is_tip,
        )?;
        self.verify(&checksum, fetched.as_ref().map(|f| f.0.as_slice()), detached.as_ref())?;
        self.note_sizes(commit);
        if let Some((bytes, _)) = &fetched {
            // Before the first object can be seen, so that dying leaves it marked.
            txn.mark_partial(&checksum)?;
            let name = ObjectName::new(checksum, ObjectType::Commit);
            txn.write_metadata_as(&name, bytes)?;
            self.fetched.push(checksum);
        }
        if let Some(detached) = &detached
            && txn.repo().load_detached(&checksum)?.unwrap_or_default() != *detached
        {
            txn.write_detached(&checksum, detached)?;
        }
        let base = self.bases.find(commit, &names)?;
        let root = Root { tree: commit.root_tree, meta: commit.root_meta, base };
        if let Some(entry) = self.commits.get_mut(&checksum) {
            entry.stored = true;
            entry.done = true;
        }
        self.follow_parent(checksum)?;
        self.begin_tree(&checksum, root)
    }

    /// Verifies the signatures of a commit, if they have to be: those that came, or of a commit
    /// that was here those that were.
    fn verify(
        &mut self,
        checksum: &Checksum,
        fetched: Option<&[u8]>,
        detached: Option<&Metadata>,
    ) -> Outcome<()> {
        let Some(verifier) = self.options.verifier.as_ref().filter(|v| v.wants_commit()) else {
            return Ok(());
        };
        let txn = self.receive.txn;
        let report = match fetched {
            Some(bytes) => verifier.verify_commit(checksum, bytes, detached)?,
            None => {
                let bytes = txn.load_metadata(ObjectType::Commit, checksum)?;
                let here = match detached {
                    Some(_) => None,
                    None => txn.repo().load_detached(checksum)?,
                };
                verifier.verify_commit(checksum, &bytes, detached.or(here.as_ref()))?
            }
        };
        self.stats.verified.insert(*checksum, report);
        Ok(())
    }

    fn begin_tree(&mut self, checksum: &Checksum, root: Root) -> Outcome<()> {
        let txn = self.receive.txn;
        if is_whole(txn.repo(), checksum)? || self.options.commit_only {
            return Ok(());
        }
        // A commit that an earlier attempt left in the staging directory may have no mark.
        if !txn.repo().has_object(&ObjectName::new(*checksum, ObjectType::Commit))? {
            txn.mark_partial(checksum)?;
        }
        match self.begin_parts(checksum, root) {
            true => Ok(()),
            false => self.look_into(root),
        }
    }

    /// Finds out what of a tree is not here.
    pub(super) fn look_into(&mut self, root: Root) -> Outcome<()> {
        if self.metas.insert(root.meta) {
            let place = self.receive.place(&ObjectName::new(root.meta, ObjectType::DirMeta))?;
            self.want(Job::Meta(root.meta), place);
        }
        if root.base != Some(root.tree) {
            let place = self.receive.place(&ObjectName::new(root.tree, ObjectType::DirTree))?;
            let at = TreeAt { tree: root.tree, base: root.base, path: "/".to_string() };
            self.want_tree(at, place);
        }
        Ok(())
    }

    fn follow_parent(&mut self, checksum: Checksum) -> Outcome<()> {
        let depth = self.commits.get(&checksum).and_then(|entry| entry.depth);
        let Some(next) = depth.and_then(Depth::next) else { return Ok(()) };
        let commit = checks::load_commit(self.receive.txn, &checksum)?;
        match commit.parent {
            Some(parent) => self.want_commit(parent, next, None, false),
            None => Ok(()),
        }
    }
}
