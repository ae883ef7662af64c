use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use crate::{FsError, Result};

macro_rules! ops {
    ($($(#[$doc:meta])* $variant:ident $field:ident $word:literal $mutating:literal,)*) => {
        /// One kind of counted operation; roughly one system call.
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Op { $($(#[$doc])* $variant,)* }

        impl Op {
            const COUNT: usize = [$(Op::$variant),*].len();

            /// The word for error messages.
            pub const fn word(self) -> &'static str {
                match self { $(Op::$variant => $word,)* }
            }

            const fn is_mutating(self) -> bool {
                match self { $(Op::$variant => $mutating,)* }
            }
        }

        /// What was done through one [`Fs`], as plain numbers.
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
            /// Bytes handed to `write` and `copy_file_range`; a reflink writes none.
            pub bytes_written: u64,
            /// Bytes returned by `read`.
            pub bytes_read: u64,
        }

        impl Counters {
            /// All counted operations together.
            pub fn total(&self) -> u64 {
                0 $(+ self.$field)*
            }

            /// What happened since `earlier`.
            pub fn since(&self, earlier: &Counters) -> Counters {
                Counters {
                    $($field: self.$field - earlier.$field,)*
                    bytes_written: self.bytes_written - earlier.bytes_written,
                    bytes_read: self.bytes_read - earlier.bytes_read,
                }
            }

            /// Name and number of every kind that happened at least once.
            pub fn nonzero(&self) -> Vec<(&'static str, u64)> {
                let all = [$((stringify!($field), self.$field),)*];
                all.into_iter().filter(|(_, n)| *n > 0).collect()
            }
        }

        impl Fs {
            /// A snapshot of what was done so far.
            pub fn counters(&self) -> Counters {
                let n = |op: Op| self.0.counts[op as usize].load(Relaxed);
                Counters {
                    $($field: n(Op::$variant),)*
                    bytes_written: self.0.bytes_written.load(Relaxed),
                    bytes_read: self.0.bytes_read.load(Relaxed),
                }
            }
        }
    };
}

ops! {
    /// Opened or probed a file or directory.
    Open opens "open" false,
    /// Looked up the metadata of a name or handle.
    Stat stats "stat" false,
    /// Asked for directory entries.
    ReadDir readdirs "read directory" false,
    /// Read file content.
    Read reads "read" false,
    /// Read the target of a symbolic link.
    ReadLink readlinks "read link" false,
    /// Listed or read extended attributes.
    GetXattr getxattrs "read attributes of" false,
    /// Created a file.
    Create creates "create" true,
    /// Wrote file content.
    Write writes "write" true,
    /// Cloned or copied a range inside the kernel.
    Copy copies "copy to" true,
    /// Made a hard link.
    Link links "link" true,
    /// Removed a name that is not a directory.
    Unlink unlinks "remove" true,
    /// Renamed, replaced or exchanged names.
    Rename renames "rename" true,
    /// Made a directory.
    Mkdir mkdirs "make directory" true,
    /// Removed a directory.
    Rmdir rmdirs "remove directory" true,
    /// Made a symbolic link.
    Symlink symlinks "make link" true,
    /// Made a device node.
    Mknod mknods "make node" true,
    /// Changed a mode.
    Chmod chmods "set mode of" true,
    /// Changed an owner.
    Chown chowns "set owner of" true,
    /// Set an extended attribute.
    SetXattr setxattrs "set attribute of" true,
    /// Set times.
    SetTimes settimes "set times of" true,
    /// Set inode flags (immutable bit).
    SetFlags setflags "set flags of" true,
    /// Synced one file or directory.
    Sync fsyncs "sync" true,
    /// Synced a whole file system.
    SyncFs syncfs "sync file system of" true,
    /// Mounted a file system.
    Mount mounts "mount" true,
    /// Froze and thawed a whole file system.
    Freeze freezes "freeze and thaw file system of" true,
}

/// What happens at the chosen mutating operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// That one operation fails with this error number; later ones work.
    Fail(i32),
    /// That operation and every mutating one after it fail without being done, as if the
    /// process had been killed just before it.
    Die,
    /// That operation is done, and tells of failure all the same, as every mutating one after
    /// it, which is not done: as if the process had been killed just after it.
    DieAfter,
}

/// A planned fault for tests: at which mutating operation, counted from 1, what happens.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the mutating operation, the first being 1.
    pub at: u64,
    /// What happens there.
    pub kind: FaultKind,
}

#[derive(Debug, Default)]
struct Shared {
    counts: [AtomicU64; Op::COUNT],
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
    mutations: AtomicU64,
    fault: Option<Fault>,
    struck: OnceLock<(Op, PathBuf)>,
}

/// The account that all handles of one task share: counters, and a planned fault in tests.
///
/// Cloning is cheap and gives a handle to the same account.
#[derive(Clone, Debug, Default)]
pub struct Fs(Arc<Shared>);

impl Fs {
    /// A fresh account with no fault planned.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fresh account in which `fault` will strike.
    pub fn with_fault(fault: Fault) -> Self {
        Fs(Arc::new(Shared { fault: Some(fault), ..Shared::default() }))
    }

    /// How many mutating operations were tried so far: the range for [`Fault::at`].
    pub fn mutations(&self) -> u64 {
        self.0.mutations.load(Relaxed)
    }

    /// Whether a planned fault has struck.
    pub fn fault_struck(&self) -> bool {
        self.0.fault.is_some_and(|f| self.mutations() >= f.at)
    }

    /// What the planned fault struck first: the operation, and the path it was about.
    pub fn struck(&self) -> Option<(Op, &Path)> {
        self.0.struck.get().map(|(op, path)| (*op, path.as_path()))
    }

    pub(crate) fn count(&self, op: Op) {
        self.0.counts[op as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.0.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.0.bytes_read.fetch_add(bytes, Relaxed);
    }

    /// Counts `op`, lets a planned fault strike, then runs `call`, again where a signal came in
    /// between: network and user space file systems give `EINTR` for calls of any kind, and it
    /// says that nothing was done.
    pub(crate) fn run<T>(
        &self,
        op: Op,
        path: impl Fn() -> PathBuf,
        mut call: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<T> {
        self.run_free(op, path, || {
            self.count(op);
            call()
        })
    }

    /// As [`Fs::run`], and does not count: taking a lock is no part of what work costs.
    pub(crate) fn run_free<T>(
        &self,
        op: Op,
        path: impl Fn() -> PathBuf,
        mut call: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<T> {
        loop {
            match self.disturbed(op, &path, &mut call) {
                Err(Errno::INTR) => {}
                done => return done.map_err(|e| FsError::new(op.word(), path(), e)),
            }
        }
    }

    fn disturbed<T>(
        &self,
        op: Op,
        path: &impl Fn() -> PathBuf,
        call: &mut impl FnMut() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        if !op.is_mutating() {
            return call();
        }
        let n = self.0.mutations.fetch_add(1, Relaxed) + 1;
        let Some(fault) = self.0.fault.filter(|fault| n >= fault.at) else { return call() };
        if n == fault.at {
            let _ = self.0.struck.set((op, path()));
        }
        match fault.kind {
            FaultKind::Fail(errno) if n == fault.at => Err(Errno::from_raw_os_error(errno)),
            FaultKind::Fail(_) => call(),
            FaultKind::DieAfter if n == fault.at => call().and(Err(Errno::IO)),
            FaultKind::Die | FaultKind::DieAfter => Err(Errno::IO),
        }
    }

    /// The user the kernel checks our permissions for.
    pub fn effective_user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Opens a directory by an ordinary path, following symbolic links: the way in.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<crate::Dir> {
        crate::Dir::open_root(self.clone(), path.as_ref())
    }
}
