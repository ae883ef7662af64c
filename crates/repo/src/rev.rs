use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;
use trefoil_format::object::ObjectType;

use crate::{Repo, RepoError, Result};

impl Repo {
    /// The commit that `rev` means: a checksum, an unambiguous beginning of one, a ref,
    /// `REMOTE:REF`, or any of these followed by `^` for the parent. A bare ref is looked for
    /// among the local refs first, then in all remotes, as libostree does.
    pub fn resolve_rev(&self, rev: &str) -> Result<Checksum> {
        self.resolve_rev_opt(rev)?
            .ok_or_else(|| RepoError::RefNotFound { refspec: rev.to_string() })
    }

    /// As [`Repo::resolve_rev`], `None` where there is no such ref.
    pub fn resolve_rev_opt(&self, rev: &str) -> Result<Option<Checksum>> {
        if let Ok(checksum) = Checksum::from_hex(rev) {
            return Ok(Some(checksum));
        }
        if let Some(found) = self.resolve_prefix(rev)? {
            return Ok(Some(found));
        }
        if let Some(child) = rev.strip_suffix('^') {
            let Some(commit) = self.resolve_rev_opt(child)? else { return Ok(None) };
            let parent = self.load_commit(&commit)?.parent;
            return parent.map(Some).ok_or(RepoError::NoParent { commit });
        }
        let refspec = Refspec::parse(rev)
            .map_err(|e| RepoError::format(format!("Invalid refspec {rev}"), e))?;
        self.resolve_refspec(&refspec, true)
    }

    /// The commit a ref points to. With `search_remotes` a ref without a remote is also
    /// looked for in the remotes.
    pub fn resolve_refspec(
        &self,
        refspec: &Refspec,
        search_remotes: bool,
    ) -> Result<Option<Checksum>> {
        let found = match &refspec.remote {
            Some(remote) => self.read_ref(&format!("refs/remotes/{remote}/{}", refspec.name))?,
            None => match self.read_ref(&format!("refs/heads/{}", refspec.name))? {
                None if search_remotes => self.find_in_remotes(refspec.name.as_str())?,
                found => found,
            },
        };
        match (found, self.parent()) {
            (None, Some(parent)) => parent.resolve_refspec(refspec, search_remotes),
            (found, _) => Ok(found),
        }
    }

    fn find_in_remotes(&self, name: &str) -> Result<Option<Checksum>> {
        if let Some(found) = self.read_ref(&format!("refs/remotes/{name}"))? {
            return Ok(Some(found));
        }
        let Some(remotes) = self.dir().open_dir_opt("refs/remotes")? else { return Ok(None) };
        for entry in remotes.sorted_entries()? {
            let Some(remote) = entry.name.to_str() else { continue };
            if let Some(found) = self.read_ref(&format!("refs/remotes/{remote}/{name}"))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The one commit whose checksum begins with `prefix`. Looks at object names only.
    fn resolve_prefix(&self, prefix: &str) -> Result<Option<Checksum>> {
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if prefix.len() > 2 * Checksum::LEN || !prefix.bytes().all(is_hex) {
            return Ok(None);
        }
        let mut found = None;
        for dir in self.object_dirs(prefix)? {
            let Some(objects) = self.objects().open_dir_opt(&dir)? else { continue };
            for entry in objects.entries()? {
                let Some(stem) = commit_stem(entry.name.to_str()) else { continue };
                let hex = format!("{dir}{stem}");
                let Ok(checksum) = Checksum::from_hex(&hex) else { continue };
                if hex.starts_with(prefix) && found.replace(checksum).is_some() {
                    return Err(RepoError::RefAmbiguous { prefix: prefix.to_string() });
                }
            }
        }
        Ok(found)
    }

    /// The directories that can hold an object whose checksum begins with `prefix`.
    fn object_dirs(&self, prefix: &str) -> Result<Vec<String>> {
        if prefix.len() >= 2 {
            return Ok(vec![prefix[..2].to_string()]);
        }
        let names = self.objects().entries()?.into_iter().filter_map(|e| e.name.into_string().ok());
        Ok(names.filter(|n| n.len() == 2 && n.starts_with(prefix)).collect())
    }
}

fn commit_stem(name: Option<&str>) -> Option<&str> {
    name?.strip_suffix(ObjectType::Commit.suffix())?.strip_suffix('.')
}
