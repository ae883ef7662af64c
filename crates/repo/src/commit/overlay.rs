use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;

use super::modifier::{Attributes, CommitModifier, TreePath};
use crate::mutable_tree::check_depth;
use crate::{FileSource, MutableTree, Repo, RepoMode, Result, Transaction, TreeId};

/// Lays a tree of the repository over `tree` (`--tree=ref=REV`), changed by `modifier`.
///
/// A modifier that changes nothing costs only the directories that are in both trees. Any
/// other one reads the whole tree `over`, and the content of those files that it changes; so
/// do sizes that [`Transaction::begin_sizes`] asked for, without the content.
pub fn import_tree(
    transaction: &Transaction<'_>,
    over: TreeId,
    tree: &mut MutableTree,
    modifier: &CommitModifier,
) -> Result<()> {
    let repo = transaction.repo();
    // Sizes are those of every object, so that every directory has to be looked at.
    if modifier.keeps_trees(repo.mode()) && !transaction.wants_sizes() {
        return tree.overlay(repo, over);
    }
    Overlay { transaction, repo, modifier }.directory(over, tree, &TreePath::ROOT)
}

struct Overlay<'a> {
    transaction: &'a Transaction<'a>,
    repo: &'a Repo,
    modifier: &'a CommitModifier,
}

impl Overlay<'_> {
    fn directory(&self, over: TreeId, tree: &mut MutableTree, path: &TreePath<'_>) -> Result<()> {
        check_depth(path.depth())?;
        let old = self.repo.load_dirmeta(&over.meta)?;
        let attributes = Attributes { uid: old.uid, gid: old.gid, mode: old.mode };
        let Some(new) = self.apply(path, attributes) else { return Ok(()) };
        tree.set_metadata(self.write_meta(over.meta, old, new)?);

        let source = self.repo.load_dirtree(&over.tree)?;
        for file in source.files {
            self.file(file.name, file.checksum, tree, path)?;
        }
        for dir in source.dirs {
            let path = path.child(dir.name.as_str());
            // Asked twice for a directory, as in `import_dir`.
            let attributes = Attributes { uid: 0, gid: 0, mode: 0o040_000 };
            if self.apply(&path, attributes).is_some() {
                let child = tree.ensure_dir(self.repo, &dir.name)?;
                self.directory(TreeId { tree: dir.tree, meta: dir.meta }, child, &path)?;
            }
        }
        Ok(())
    }

    fn file(
        &self,
        name: EntryName,
        checksum: Checksum,
        tree: &mut MutableTree,
        parent: &TreePath<'_>,
    ) -> Result<()> {
        let path = parent.child(name.as_str());
        if self.modifier.keeps_headers(self.repo.mode()) && !self.transaction.wants_sizes() {
            let any = Attributes { uid: 0, gid: 0, mode: 0o100_000 };
            return match self.apply(&path, any) {
                Some(_) => tree.replace_file(self.repo, name, checksum),
                None => Ok(()),
            };
        }
        let mut object = self.repo.load_file(&checksum)?;
        let old =
            Attributes { uid: object.header.uid, gid: object.header.gid, mode: object.header.mode };
        let Some(new) = self.apply(&path, old) else { return Ok(()) };
        let target = object.header.symlink_target.clone();
        let target_len = target.as_ref().map(|target| target.len() as u64);
        let header = new.header(target, self.keep_xattrs(object.header.xattrs.clone()));
        // What `bare-user-only` tells of an object need not be what its checksum covers.
        let same = header == object.header && self.repo.mode() != RepoMode::BareUserOnly;
        let unpacked = target_len.unwrap_or(object.size);
        if same {
            self.transaction.note_size(checksum, ObjectType::File, unpacked);
        }
        let checksum = if same { checksum } else { self.rewrite(&header, &mut object.content)? };
        tree.replace_file(self.repo, name, checksum)
    }

    fn rewrite(&self, header: &FileHeader, content: &mut crate::Content) -> Result<Checksum> {
        let source = match header.symlink_target {
            Some(_) => FileSource::Empty,
            None => FileSource::Read(content),
        };
        self.transaction.write_file(header, source)
    }

    fn write_meta(&self, same: Checksum, old: DirMeta, new: Attributes) -> Result<Checksum> {
        let Attributes { uid, gid, mode } = new;
        let meta = DirMeta { uid, gid, mode, xattrs: self.keep_xattrs(old.xattrs.clone()) };
        let bytes = meta.to_bytes();
        if meta == old {
            self.transaction.note_size(same, ObjectType::DirMeta, bytes.len() as u64);
            return Ok(same);
        }
        self.transaction.write_metadata(ObjectType::DirMeta, &bytes)
    }

    fn keep_xattrs(&self, old: trefoil_format::xattrs::Xattrs) -> trefoil_format::xattrs::Xattrs {
        if self.modifier.drops_xattrs(self.repo.mode()) { Default::default() } else { old }
    }

    fn apply(&self, path: &TreePath<'_>, old: Attributes) -> Option<Attributes> {
        self.modifier.apply(self.repo.mode(), path, old)
    }
}
