use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{CollectionId, RefName, Refspec, RemoteName};
use trefoil_fsat::{Dir, FileKind};

use crate::replace::StagedFile;
use crate::{Repo, RepoError, Result};

/// A ref file holds a checksum and a newline; anything much longer is none.
const REF_LIMIT: u64 = 4096;
const DIR_MODE: u32 = 0o775;

/// Which refs a listing holds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRefs {
    /// Leave out refs of remotes.
    pub exclude_remotes: bool,
    /// Only refs that are symbolic links to others.
    pub aliases_only: bool,
}

/// A listed ref: where it points, and through which other ref if it is an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefTarget {
    /// The commit.
    pub checksum: Checksum,
    /// For an alias the link text, relative to the directory the alias lies in.
    pub alias: Option<String>,
}

/// The new file of a ref, and what is to be its name.
#[derive(Debug)]
pub(crate) struct StagedRef<'d> {
    file: StagedFile<'d>,
    dir: Dir,
    name: String,
}

impl StagedRef<'_> {
    /// Moves the ref; makes its name durable if `sync`.
    pub(crate) fn publish(self, sync: bool) -> Result<()> {
        self.file.publish(&self.dir, &self.name, sync)
    }
}

/// New files of local refs that do not have their names yet.
#[derive(Debug)]
pub struct StagedRefs<'r>(Vec<StagedRef<'r>>);

impl StagedRefs<'_> {
    /// Makes each of them durable.
    pub fn sync(&self) -> Result<()> {
        self.0.iter().try_for_each(|staged| staged.file.sync())
    }

    /// Gives them their names, which are not synced.
    pub fn publish(self) -> Result<()> {
        self.0.into_iter().try_for_each(|staged| staged.publish(false))
    }
}

impl Repo {
    pub(crate) fn read_ref(&self, path: &str) -> Result<Option<Checksum>> {
        let bytes = match self.dir().read_beneath_opt(path, REF_LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            // A name that is also the beginning of other names, or continues a ref's.
            Err(e) if e.is_directory_mixup() => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        Checksum::from_hex(text.trim_end())
            .map(Some)
            .map_err(|e| RepoError::format(format!("Couldn't open ref '{path}'"), e))
    }

    /// Refs whose name is `prefix` or lies below it, or all. A prefix may name a remote.
    pub fn list_refs(&self, prefix: Option<&str>) -> Result<BTreeMap<Refspec, Checksum>> {
        let listed = self.list_refs_with(prefix, ListRefs::default())?;
        Ok(listed.into_iter().map(|(spec, target)| (spec, target.checksum)).collect())
    }

    /// As [`Repo::list_refs`] with options, and with aliases told.
    pub fn list_refs_with(
        &self,
        prefix: Option<&str>,
        options: ListRefs,
    ) -> Result<BTreeMap<Refspec, RefTarget>> {
        let (remote, under) = match prefix {
            None => (None, None),
            Some(prefix) => split_prefix(prefix)?,
        };
        let mut found = BTreeMap::new();
        if remote.is_none() {
            self.list_in("refs/heads", None, under.as_deref(), options, &mut found)?;
        }
        if options.exclude_remotes || (prefix.is_some() && remote.is_none()) {
            return Ok(found);
        }
        let Some(remotes) = self.dir().open_dir_opt("refs/remotes")? else { return Ok(found) };
        for entry in remotes.entries()? {
            let Some(name) = entry.name.to_str().and_then(|n| RemoteName::new(n).ok()) else {
                continue;
            };
            if remote.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            let base = format!("refs/remotes/{name}");
            self.list_in(&base, Some(&name), under.as_deref(), options, &mut found)?;
        }
        Ok(found)
    }

    fn list_in(
        &self,
        base: &str,
        remote: Option<&RemoteName>,
        under: Option<&str>,
        options: ListRefs,
        found: &mut BTreeMap<Refspec, RefTarget>,
    ) -> Result<()> {
        let mut names = Vec::new();
        self.ref_names(base, under.unwrap_or(""), &mut names)?;
        for name in names {
            let path = format!("{base}/{name}");
            let alias = match self.dir().stat_opt(&path)? {
                Some(stat) if stat.is_symlink() => {
                    Some(String::from_utf8_lossy(&self.dir().read_link(&path)?).into_owned())
                }
                Some(_) => None,
                None => continue,
            };
            if options.aliases_only && alias.is_none() {
                continue;
            }
            let Ok(name) = RefName::new(&name) else { continue };
            // An alias whose target is gone, or a ref deleted since it was listed.
            let Some(checksum) = self.read_ref(&path)? else { continue };
            let refspec = Refspec { remote: remote.cloned(), name };
            found.insert(refspec, RefTarget { checksum, alias });
        }
        Ok(())
    }

    /// Names of all files at or below `base/under`, relative to `base`.
    fn ref_names(&self, base: &str, under: &str, names: &mut Vec<String>) -> Result<()> {
        let path = if under.is_empty() { base.to_string() } else { format!("{base}/{under}") };
        let Some(stat) = self.dir().stat_opt(&path)? else { return Ok(()) };
        if !stat.is_dir() {
            names.push(under.to_string());
            return Ok(());
        }
        for entry in self.dir().open_dir(&path)?.sorted_entries()? {
            let Some(name) = entry.name.to_str() else { continue };
            let below = if under.is_empty() { name.to_string() } else { format!("{under}/{name}") };
            match entry.kind {
                FileKind::Directory => self.ref_names(base, &below, names)?,
                FileKind::Regular | FileKind::Symlink => names.push(below),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refs of other collections, mirrored here (`refs/mirrors`).
    pub fn list_mirror_refs(&self) -> Result<BTreeMap<(CollectionId, RefName), Checksum>> {
        let mut found = BTreeMap::new();
        let Some(mirrors) = self.dir().open_dir_opt("refs/mirrors")? else { return Ok(found) };
        for entry in mirrors.sorted_entries()? {
            let Some(id) = entry.name.to_str().and_then(|n| CollectionId::new(n).ok()) else {
                continue;
            };
            let mut names = Vec::new();
            let base = format!("refs/mirrors/{id}");
            self.ref_names(&base, "", &mut names)?;
            for name in names {
                let Ok(parsed) = RefName::new(&name) else { continue };
                if let Some(checksum) = self.read_ref(&format!("{base}/{name}"))? {
                    found.insert((id.clone(), parsed), checksum);
                }
            }
        }
        Ok(found)
    }

    /// Points a ref at a commit, or deletes it. One rename; durable where the repository
    /// syncs. Also sets the repository's modification time, as libostree.
    pub fn set_ref(&self, refspec: &Refspec, target: Option<&Checksum>) -> Result<()> {
        self.write_ref(&plain_base(refspec), refspec.name.as_str(), target, self.config().fsync)
    }

    /// The first half of [`Repo::set_ref`]: writes the new file as `temp`, which must not exist,
    /// in `from`, a directory of the caller's in this repository. Not synced.
    pub(crate) fn stage_ref<'d>(
        &self,
        refspec: &Refspec,
        target: &Checksum,
        from: &'d Dir,
        temp: String,
    ) -> Result<StagedRef<'d>> {
        let (dir, name) = self.place_of_ref(&plain_base(refspec), refspec.name.as_str())?;
        Ok(StagedRef { file: StagedFile::write(from, temp, &ref_content(target))?, dir, name })
    }

    /// As [`Repo::set_ref`] for a local ref that is only a hint: a power cut may bring back what
    /// was before, but never leaves a ref without its content, which would be in everybody's way.
    /// There is no sign to those who watch the repository for new refs.
    pub fn set_hint_ref(&self, name: &RefName, target: Option<&Checksum>) -> Result<()> {
        let Some(target) = target else {
            return self.put_ref("refs/heads", name.as_str(), None, false);
        };
        let staged = self.stage_hint_refs([(name, target)])?;
        if self.config().fsync {
            staged.sync()?;
        }
        staged.publish()
    }

    /// The first half of [`Repo::set_hint_ref`], for several: writes the new files below `tmp`.
    /// Whoever syncs the file system before [`StagedRefs::publish`] need not sync each.
    pub fn stage_hint_refs<'a>(
        &self,
        refs: impl IntoIterator<Item = (&'a RefName, &'a Checksum)>,
    ) -> Result<StagedRefs<'_>> {
        let stage = |(name, target): (&RefName, &Checksum)| {
            self.stage_ref_at("refs/heads", name.as_str(), target)
        };
        refs.into_iter().map(stage).collect::<Result<_>>().map(StagedRefs)
    }

    /// As [`Repo::set_ref`] for a ref of a collection: a local one if it is this repository's.
    pub fn set_collection_ref(
        &self,
        collection: &CollectionId,
        name: &RefName,
        target: Option<&Checksum>,
    ) -> Result<()> {
        let own = self.config().collection_id.as_deref() == Some(collection.as_str());
        let base = match own {
            true => "refs/heads".to_string(),
            false => format!("refs/mirrors/{collection}"),
        };
        self.write_ref(&base, name.as_str(), target, self.config().fsync)
    }

    /// Makes `alias` a symbolic link to the local ref `target`.
    pub fn set_alias(&self, alias: &RefName, target: &RefName) -> Result<()> {
        let (dir, name) = self.ref_dir("refs/heads", alias.as_str())?;
        let depth = alias.as_str().matches('/').count();
        let link = format!("{}{target}", "../".repeat(depth));
        self.replace_symlink(&dir, &name, &link)?;
        self.touch()
    }

    fn write_ref(
        &self,
        base: &str,
        name: &str,
        target: Option<&Checksum>,
        sync: bool,
    ) -> Result<()> {
        self.put_ref(base, name, target, sync)?;
        self.touch()
    }

    fn put_ref(&self, base: &str, name: &str, target: Option<&Checksum>, sync: bool) -> Result<()> {
        let Some(target) = target else {
            let path = format!("{base}/{name}");
            if self.dir().unlink_opt(&path)? && sync {
                let parent = path.rsplit_once('/').map_or(base, |(parent, _)| parent);
                self.dir().open_dir(parent)?.sync()?;
            }
            return Ok(());
        };
        let staged = self.stage_ref_at(base, name, target)?;
        if sync {
            staged.file.sync()?;
        }
        staged.publish(sync)
    }

    fn stage_ref_at(&self, base: &str, name: &str, target: &Checksum) -> Result<StagedRef<'_>> {
        let (dir, name) = self.place_of_ref(base, name)?;
        Ok(StagedRef { file: self.stage_file(&ref_content(target))?, dir, name })
    }

    /// The directory for the file of a ref, and its name there, which no directory has any more.
    fn place_of_ref(&self, base: &str, name: &str) -> Result<(Dir, String)> {
        if Checksum::from_hex(name).is_ok() {
            return Err(RepoError::Refused(format!("Rev name '{name}' looks like a checksum")));
        }
        let (dir, file) = self.ref_dir(base, name)?;
        self.clear_empty_dir(&dir, &file, base, name)?;
        Ok((dir, file))
    }

    /// Opens the directory a ref file lies in, made as needed, and gives the file name.
    fn ref_dir(&self, base: &str, name: &str) -> Result<(Dir, String)> {
        let path = format!("{base}/{name}");
        let (parent, file) = path.rsplit_once('/').unwrap_or((base, name));
        if let Some(dir) = self.dir().open_dir_opt(parent)? {
            return Ok((dir, file.to_string()));
        }
        self.dir().ensure_dirs(parent, DIR_MODE)?;
        Ok((self.dir().open_dir(parent)?, file.to_string()))
    }

    /// A directory in the place of the ref is in the way only if refs lie in it.
    fn clear_empty_dir(&self, dir: &Dir, file: &str, base: &str, name: &str) -> Result<()> {
        if !dir.stat_opt(file)?.is_some_and(|stat| stat.is_dir()) {
            return Ok(());
        }
        let mut below = Vec::new();
        self.ref_names(base, name, &mut below)?;
        if let Some(existing) = below.into_iter().next() {
            return Err(RepoError::RefConflict { existing, wanted: name.to_string() });
        }
        dir.remove_all(file)?;
        Ok(())
    }
}

fn ref_content(target: &Checksum) -> Vec<u8> {
    format!("{target}\n").into_bytes()
}

/// Where a ref lies that belongs to no collection but this repository's.
fn plain_base(refspec: &Refspec) -> String {
    match &refspec.remote {
        None => "refs/heads".to_string(),
        Some(remote) => format!("refs/remotes/{remote}"),
    }
}

/// Splits `REMOTE:`, `REMOTE:.`, `REMOTE:REF` and `REF` into a remote and a prefix.
fn split_prefix(prefix: &str) -> Result<(Option<RemoteName>, Option<String>)> {
    if let Some(remote) = prefix.strip_suffix(':').or_else(|| prefix.strip_suffix(":."))
        && let Ok(remote) = RemoteName::new(remote)
    {
        return Ok((Some(remote), None));
    }
    let refspec = Refspec::parse(prefix)
        .map_err(|e| RepoError::format(format!("Invalid refspec {prefix}"), e))?;
    Ok((refspec.remote, Some(refspec.name.as_str().to_string())))
}
