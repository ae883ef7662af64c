use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{DirTreeView, Pair};
use trefoil_format::object::ObjectType;

use super::paths::{wants_dir, wants_file};
use crate::{Repo, RepoError};

/// A directory to look into, and the one at the same path of a commit known to be whole.
#[derive(Clone, Debug)]
pub(super) struct TreeAt {
    pub tree: Checksum,
    pub base: Option<Checksum>,
    pub path: String,
}

/// What a directory refers to and the whole commit does not have in the same place.
#[derive(Default)]
pub(super) struct Needs {
    pub files: Vec<Checksum>,
    pub metas: Vec<Checksum>,
    pub below: Vec<TreeAt>,
}

impl TreeAt {
    /// Compares the directory, of which `bytes` are the object, with that of the whole commit in
    /// `repo`. Where `subdirs` names paths, only what lies in them or on the way is wanted.
    pub fn needs(
        &self,
        repo: &Repo,
        subdirs: &[String],
        bytes: &[u8],
    ) -> Result<Needs, trefoil_format::error::FormatError> {
        let tree = DirTreeView::parse(bytes)?;
        // A whole commit has its directories; were one gone or damaged, everything is looked at.
        let load = |base| repo.load_metadata(ObjectType::DirTree, &base);
        let base = self.base.map(load).and_then(Result::<_, RepoError>::ok);
        let base = base.as_deref().and_then(|bytes| DirTreeView::parse(bytes).ok());
        let base = base.unwrap_or_default();
        let mut needs = Needs::default();
        for pair in base.differing_files(&tree) {
            if let Pair::Both(_, (name, [checksum])) | Pair::Right((name, [checksum])) = pair
                && wants_file(subdirs, &self.path, name)
            {
                needs.files.push(checksum);
            }
        }
        for pair in base.differing_dirs(&tree) {
            let (beside, (name, [tree, meta])) = match pair {
                Pair::Both((_, beside), new) => (Some(beside), new),
                Pair::Right(new) => (None, new),
                Pair::Left(_) => continue,
            };
            let path = format!("{}{name}/", self.path);
            if !wants_dir(subdirs, &path) {
                continue;
            }
            if beside.is_none_or(|[_, old]| old != meta) {
                needs.metas.push(meta);
            }
            let base = beside.map(|[tree, _]| tree);
            if base != Some(tree) {
                needs.below.push(TreeAt { tree, base, path });
            }
        }
        Ok(needs)
    }
}
