use super::{
    BLOCK, Block, CHECKSUM, GID, GNU_MAGIC, LINK_NAME, MAGIC, MODE, MTIME, NAME, SIZE, TYPE, UID,
};

/// What a header tells of an entry.
#[derive(Copy, Clone, Debug)]
pub struct GnuEntry<'a> {
    /// The path; that of a directory ends in a slash.
    pub path: &'a [u8],
    /// The target of a link, empty for anything else.
    pub link: &'a [u8],
    /// The letter of the type.
    pub kind: u8,
    /// Permission bits; others are dropped.
    pub permissions: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Size of the content in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// The blocks that begin an entry in GNU's format, byte for byte as libarchive writes them:
/// the header, and before it those for names longer than 100 bytes.
pub fn gnu_entry(entry: &GnuEntry<'_>) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(BLOCK);
    if entry.link.len() > LINK_NAME.len() {
        push_long(&mut blocks, entry, entry.link, b'K');
    }
    if entry.path.len() > NAME.len() {
        push_long(&mut blocks, entry, entry.path, b'L');
    }
    blocks.extend_from_slice(&header(entry, b"", b""));
    blocks
}

fn push_long(blocks: &mut Vec<u8>, entry: &GnuEntry<'_>, text: &[u8], kind: u8) {
    let path: &[u8] = b"././@LongLink";
    let size = text.len() as u64 + 1;
    let plain = GnuEntry { path, kind, permissions: 0, uid: 0, gid: 0, size, mtime: 0, ..*entry };
    blocks.extend_from_slice(&header(&plain, b"root", b"wheel"));
    blocks.extend_from_slice(text);
    blocks.push(0);
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
}

fn header(entry: &GnuEntry<'_>, user: &[u8], group: &[u8]) -> Block {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(NAME.start, &entry.path[..entry.path.len().min(NAME.len())]);
    put(LINK_NAME.start, &entry.link[..entry.link.len().min(LINK_NAME.len())]);
    put(MODE.start, &number::<8>(u64::from(entry.permissions & 0o7777)));
    put(UID.start, &number::<8>(u64::from(entry.uid)));
    put(GID.start, &number::<8>(u64::from(entry.gid)));
    put(SIZE.start, &number::<12>(entry.size));
    put(MTIME.start, &number::<12>(entry.mtime));
    put(CHECKSUM.start, b"        ");
    put(TYPE, &[entry.kind]);
    put(MAGIC.start, GNU_MAGIC);
    put(MAGIC.end, user);
    put(MAGIC.end + 32, group);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[CHECKSUM.start..CHECKSUM.start + 7].copy_from_slice(&number::<7>(sum));
    block
}

/// Octal digits and a NUL, or base 256 where they do not suffice.
fn number<const N: usize>(value: u64) -> [u8; N] {
    let mut field = [0; N];
    let fits = value >> (3 * (N - 1)).min(63) == 0;
    let (base, digits, zero) = if fits { (8, N - 1, b'0') } else { (256, N, 0) };
    let mut rest = value;
    for byte in field[..digits].iter_mut().rev() {
        *byte = zero + (rest % base) as u8;
        rest /= base;
    }
    if !fits {
        field[0] |= 0x80;
    }
    field
}
