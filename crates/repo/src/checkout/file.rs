use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, Stat};

use super::link::Linked;
use super::{Checkout, CheckoutMode, CheckoutStats};
use crate::{FileObject, Repo, RepoError, RepoMode, Result};

/// The owner may read it.
const S_IRUSR: u32 = 0o400;

/// What is known of an object before it is linked or copied.
enum Source {
    /// The inode says all that linking needs; the object is not opened.
    Inode(Stat),
    /// It had to be opened to know.
    Object(Box<FileObject>),
}

impl Source {
    fn is_symlink(&self) -> bool {
        match self {
            Source::Inode(stat) => stat.is_symlink(),
            Source::Object(object) => object.header.symlink_target.is_some(),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Source::Inode(stat) => stat.size,
            Source::Object(object) => object.size,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Source::Inode(stat) => stat.mode,
            Source::Object(object) => object.header.mode,
        }
    }
}

impl Checkout<'_> {
    /// Writes the file or symbolic link `name` into `dir`. `fresh` says that we made `dir`, so
    /// that nothing of that name can be in it.
    pub(super) fn file(
        &self,
        dir: &Dir,
        fresh: bool,
        name: &str,
        checksum: &Checksum,
        stats: &mut CheckoutStats,
    ) -> Result<()> {
        if self.is_whiteout_name(name) && self.whiteout(dir, name, checksum)? {
            stats.whiteouts += 1;
            return Ok(());
        }
        let source = self.inspect(checksum)?;
        let unreadable =
            self.mode == CheckoutMode::User && !source.is_symlink() && source.mode() & S_IRUSR == 0;
        let empty = !source.is_symlink() && source.size() == 0;
        if !unreadable && !empty && !self.options.force_copy {
            let tried = match self.link_from_chain(dir, name, checksum, source.is_symlink())? {
                Linked::No => self.link_from_cache(dir, name, checksum, &source)?,
                tried => tried,
            };
            match tried {
                Linked::Yes => stats.links += 1,
                Linked::Kept => stats.kept += 1,
                Linked::No => {}
            }
            if tried != Linked::No {
                return Ok(());
            }
        }
        let mut object = match source {
            Source::Object(object) => *object,
            Source::Inode(_) => self.repo.load_file(checksum)?,
        };
        if unreadable {
            object.header.mode |= S_IRUSR;
        }
        self.copy(dir, fresh, name, checksum, object, stats)
    }

    /// Finds the object in the repository or its parents, at the least cost that tells whether
    /// it is a symbolic link, empty, or readable.
    fn inspect(&self, checksum: &Checksum) -> Result<Source> {
        let mut repo = self.repo;
        let object = ObjectName::new(*checksum, ObjectType::File);
        loop {
            if !matches!(repo.mode(), RepoMode::Bare | RepoMode::BareUserOnly) {
                // This looks through the parents too.
                return Ok(Source::Object(Box::new(repo.load_file(checksum)?)));
            }
            if let Some(stat) = repo.objects().stat_opt(&*repo.object_path(&object))? {
                return Ok(Source::Inode(stat));
            }
            match repo.parent() {
                Some(parent) => repo = parent,
                None => return Err(RepoError::ObjectMissing { name: object }),
            }
        }
    }

    /// Tries the repository and its parents: each decides by its own mode.
    fn link_from_chain(
        &self,
        dir: &Dir,
        name: &str,
        checksum: &Checksum,
        is_symlink: bool,
    ) -> Result<Linked> {
        let mut next = Some(self.repo);
        while let Some(repo) = next {
            let user = matches!(repo.mode(), RepoMode::BareUser | RepoMode::BareUserOnly);
            let linkable = match self.mode {
                CheckoutMode::None => repo.mode() == RepoMode::Bare,
                CheckoutMode::User => user,
            };
            // Symbolic links of user repositories are not stored as such, or not linked.
            let user_symlink = user && is_symlink;
            if self.options.require_hardlinks && !linkable && !user_symlink {
                return Err(cannot_link(repo, user));
            }
            if linkable && !user_symlink {
                let path = repo.object_path(&ObjectName::new(*checksum, ObjectType::File));
                match self.link(repo, repo.objects(), &path, dir, name, checksum)? {
                    Linked::No => {}
                    done => return Ok(done),
                }
            }
            next = repo.parent();
        }
        Ok(Linked::No)
    }

    fn link_from_cache(
        &self,
        dir: &Dir,
        name: &str,
        checksum: &Checksum,
        source: &Source,
    ) -> Result<Linked> {
        let Some(cache) = self.cache.as_ref().filter(|_| !source.is_symlink()) else {
            return Ok(Linked::No);
        };
        let path = cache.ensure(self.repo, checksum)?;
        self.link(self.repo, cache.dir(), &path, dir, name, checksum)
    }
}

fn cannot_link(repo: &Repo, user: bool) -> RepoError {
    let why = match user {
        true => "User repository mode requires user checkout mode to hardlink",
        false => "Bare repository mode cannot hardlink in user checkout mode",
    };
    RepoError::Refused(format!("{why} (mode {} of {})", repo.mode(), repo.path().display()))
}
