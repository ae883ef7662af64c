//! `export`: a tree of the repository as a tar archive.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::tar::{BLOCK, GnuEntry, gnu_entry, pax};
use trefoil_format::xattrs::Xattrs;

use crate::mutable_tree::check_depth;
use crate::{FileObject, Repo, RepoError, Result, TreeId};

const BUFFER: usize = 256 * 1024;

/// How a tree becomes an archive.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// The modification time of all entries, in seconds since 1970: that of the commit.
    pub timestamp: u64,
    /// What stands before each path; a directory ends in a slash (`--prefix`).
    pub prefix: String,
    /// Leave extended attributes out (`--no-xattrs`).
    pub no_xattrs: bool,
}

/// What an export wrote.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStats {
    /// Entries, the root among them.
    pub entries: u64,
    /// Those that are hard links to an entry before.
    pub links: u64,
    /// Size of the archive in bytes.
    pub bytes: u64,
}

/// Writes `tree` to `out` in GNU's tar format, byte for byte as `ostree export` does: files of
/// a directory before its directories, each in the order of the dirtree, and a file whose
/// object was written before as a hard link. Unlike libostree, which drops them, extended
/// attributes are written, as pax records before the entry that has them.
///
/// Every object is verified on its way: one that is damaged is an error, and what was written
/// until then has no end mark.
pub fn export_tree(
    repo: &Repo,
    tree: TreeId,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> Result<ExportStats> {
    let mut export = Export { repo, options, out, seen: HashMap::new(), stats: Default::default() };
    export.directory(tree, "", 0)?;
    export.write(&[0; 2 * BLOCK])?;
    Ok(export.stats)
}

struct Export<'a> {
    repo: &'a Repo,
    options: &'a ExportOptions,
    out: &'a mut dyn Write,
    /// Where each file object was written first.
    seen: HashMap<Checksum, String>,
    stats: ExportStats,
}

impl Export<'_> {
    /// Writes the directory at `path`, empty for the root, with all beneath it.
    fn directory(&mut self, tree: TreeId, path: &str, depth: usize) -> Result<()> {
        check_depth(depth)?;
        let meta = self.repo.load_dirmeta(&tree.meta)?;
        let header = FileHeader {
            uid: meta.uid,
            gid: meta.gid,
            mode: meta.mode,
            symlink_target: None,
            xattrs: meta.xattrs,
        };
        let mut name = self.name(path);
        if !name.ends_with('/') {
            name.push('/');
        }
        self.entry(&name, b'5', "", &header, 0)?;
        let children = self.repo.load_dirtree(&tree.tree)?;
        let below = |name: &str| match path {
            "" => name.to_string(),
            path => format!("{path}/{name}"),
        };
        for file in children.files {
            self.file(&file.checksum, &below(file.name.as_str()))?;
        }
        for dir in children.dirs {
            let id = TreeId { tree: dir.tree, meta: dir.meta };
            self.directory(id, &below(dir.name.as_str()), depth + 1)?;
        }
        Ok(())
    }

    fn file(&mut self, checksum: &Checksum, path: &str) -> Result<()> {
        let object = self.repo.load_file(checksum)?;
        let name = self.name(path);
        if let Some(target) = object.header.symlink_target.clone() {
            return self.entry(&name, b'2', &target, &object.header, 0);
        }
        if let Some(first) = self.seen.get(checksum).cloned() {
            self.stats.links += 1;
            return self.entry(&name, b'1', &first, &object.header, 0);
        }
        self.entry(&name, b'0', "", &object.header, object.size)?;
        self.seen.insert(*checksum, name);
        self.content(checksum, object)
    }

    /// Writes and verifies the content, which has to have the size that was announced.
    fn content(&mut self, checksum: &Checksum, mut object: FileObject) -> Result<()> {
        let name = ObjectName::new(*checksum, ObjectType::File);
        let mut hasher = object.header.hasher();
        let mut left = object.size;
        let mut buffer = vec![0; BUFFER.min(left as usize + 1)];
        loop {
            let read = object.content.read(&mut buffer);
            let n = read.map_err(|source| RepoError::ExportRead { name, source })?;
            hasher.update(&buffer[..n]);
            let fits = left.checked_sub(n as u64);
            if n == 0 || fits.is_none() {
                break;
            }
            self.write(&buffer[..n])?;
            left = fits.unwrap_or_default();
        }
        let actual = hasher.finish();
        if left != 0 || actual != *checksum {
            let kind = ObjectType::File.suffix();
            return Err(RepoError::ChecksumMismatch { kind, expected: *checksum, actual });
        }
        self.pad(object.size)
    }

    /// Writes what begins an entry.
    fn entry(
        &mut self,
        path: &str,
        kind: u8,
        link: &str,
        header: &FileHeader,
        size: u64,
    ) -> Result<()> {
        self.stats.entries += 1;
        let mtime = self.options.timestamp;
        let FileHeader { uid, gid, mode, .. } = *header;
        let (path, link) = (path.as_bytes(), link.as_bytes());
        let entry = GnuEntry { path, link, kind, permissions: mode, uid, gid, size, mtime };
        if !self.options.no_xattrs && !header.xattrs.is_empty() {
            self.xattrs(&entry, &header.xattrs)?;
        }
        self.write(&gnu_entry(&entry))
    }

    fn xattrs(&mut self, entry: &GnuEntry<'_>, xattrs: &Xattrs) -> Result<()> {
        let mut records = Vec::new();
        for (name, value) in xattrs.iter() {
            pax::push(&mut records, &[pax::XATTR.as_bytes(), name].concat(), value);
        }
        let size = records.len() as u64;
        let path = b"././@PaxHeader";
        self.write(&gnu_entry(&GnuEntry { path, link: b"", kind: b'x', size, ..*entry }))?;
        self.write(&records)?;
        self.pad(size)
    }

    fn name(&self, path: &str) -> String {
        match format!("{}{path}", self.options.prefix) {
            name if name.is_empty() => ".".to_string(),
            name => name,
        }
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let pad = size.next_multiple_of(BLOCK as u64) - size;
        self.write(&[0; BLOCK][..pad as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stats.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(RepoError::ExportWrite)
    }
}

/// Fills what was written up to whole records of 20 blocks, as a tape or pipe expects them.
pub fn pad_to_record(stats: &ExportStats, out: &mut dyn Write) -> io::Result<()> {
    let record = 20 * BLOCK as u64;
    let pad = stats.bytes.next_multiple_of(record) - stats.bytes;
    out.write_all(&vec![0; pad as usize])
}
