//! The framing rules shared by every container of GVariant.
//!
//! A container of variable size ends in a table of offsets, each the end of one child counted
//! from the start of the container. The width of an offset follows from the size of the
//! container and must be the smallest that fits. Only the normal form passes: padding is zero,
//! ends ascend, nothing is left over.

use super::Layout;
use crate::error::FormatError;

/// A rule of the normal form was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub offset: usize,
    pub expected: &'static str,
}

impl Fault {
    /// Says which format was being read.
    pub fn of(self, what: &'static str) -> FormatError {
        FormatError::NotNormal { what, offset: self.offset, expected: self.expected }
    }
}

/// A part of the input that remembers where it lies, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub data: &'a [u8],
    pub base: usize,
}

impl<'a> Span<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Span { data, base: 0 }
    }

    pub fn slice(self, start: usize, end: usize) -> Span<'a> {
        Span { data: &self.data[start..end], base: self.base + start }
    }

    pub fn fault(self, at: usize, expected: &'static str) -> Fault {
        Fault { offset: self.base + at, expected }
    }

    /// Returns the first multiple of `align` from `from` on, if only zero bytes lie before it.
    fn skip_padding(self, from: usize, end: usize, align: usize) -> Result<usize, Fault> {
        let to = align_up(from, align);
        if to > end {
            return Err(self.fault(from, "padding within the container"));
        }
        if self.data[from..to].iter().any(|byte| *byte != 0) {
            return Err(self.fault(from, "padding of zero bytes"));
        }
        Ok(to)
    }
}

/// Rounds up to a multiple of `align`, a power of two.
pub(crate) fn align_up(position: usize, align: usize) -> usize {
    (position + align - 1) & !(align - 1)
}

/// Width in bytes of the offsets in a container of `len` bytes.
pub(crate) fn offset_width(len: usize) -> usize {
    match len as u64 {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Width a writer chooses for `count` offsets behind `body` bytes.
pub(crate) fn smallest_width(body: usize, count: usize) -> usize {
    [1, 2, 4].into_iter().find(|width| offset_width(body + count * width) <= *width).unwrap_or(8)
}

/// Reads an offset of 1, 2, 4 or 8 bytes.
pub(crate) fn read_offset(table: &[u8]) -> usize {
    let offset = match *table {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => {
            let mut bytes = [0; 8];
            bytes[..table.len()].copy_from_slice(table);
            u64::from_le_bytes(bytes)
        }
    };
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Walks the members of a tuple or dictionary entry of variable size.
pub(crate) struct Members<'a> {
    span: Span<'a>,
    position: usize,
    /// Where the offset table starts, and with it the end of the last member.
    body_end: usize,
    width: usize,
    used: usize,
}

impl<'a> Members<'a> {
    /// `offsets` is the number of members that need one: all of variable size but the last.
    pub fn new(span: Span<'a>, offsets: usize) -> Result<Self, Fault> {
        let len = span.data.len();
        let width = offset_width(len);
        let body_end = offsets
            .checked_mul(width)
            .and_then(|table| len.checked_sub(table))
            .ok_or(span.fault(0, "an offset for each member of variable size"))?;
        if offsets > 0 && smallest_width(body_end, offsets) != width {
            return Err(span.fault(body_end, "offsets of the smallest width"));
        }
        Ok(Members { span, position: 0, body_end, width, used: 0 })
    }

    /// Returns the next member, of a fixed size.
    pub fn fixed(&mut self, align: usize, size: usize) -> Result<Span<'a>, Fault> {
        let start = self.span.skip_padding(self.position, self.body_end, align)?;
        if self.body_end - start < size {
            return Err(self.span.fault(start, "all members of the tuple"));
        }
        self.position = start + size;
        Ok(self.span.slice(start, self.position))
    }

    /// Returns the next member, whose end is in the offset table.
    pub fn framed(&mut self, align: usize) -> Result<Span<'a>, Fault> {
        let start = self.span.skip_padding(self.position, self.body_end, align)?;
        self.used += 1;
        let entry = self.span.data.len() - self.used * self.width;
        let end = read_offset(&self.span.data[entry..entry + self.width]);
        if end < start || end > self.body_end {
            return Err(self.span.fault(entry, "ascending offsets within the container"));
        }
        self.position = end;
        Ok(self.span.slice(start, end))
    }

    /// Returns the last member, which is of variable size and takes the rest.
    pub fn last(self, align: usize) -> Result<Span<'a>, Fault> {
        let start = self.span.skip_padding(self.position, self.body_end, align)?;
        Ok(self.span.slice(start, self.body_end))
    }

    /// Checks that nothing follows the last member, which is of a fixed size.
    pub fn finish(self) -> Result<(), Fault> {
        if self.position == self.body_end {
            Ok(())
        } else {
            Err(self.span.fault(self.position, "the end of the tuple"))
        }
    }

    /// Like [`Members::finish`] for a tuple of fixed size, padded to its alignment.
    pub fn finish_padded(self, align: usize) -> Result<(), Fault> {
        let end = self.span.skip_padding(self.position, self.body_end, align)?;
        Members { position: end, ..self }.finish()
    }
}

/// An array of elements of variable size; elements are found through the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements<'a> {
    span: Span<'a>,
    table: usize,
    width: usize,
    count: usize,
    align: usize,
}

impl Default for Elements<'_> {
    /// The empty array.
    fn default() -> Self {
        Elements { span: Span::new(&[]), table: 0, width: 1, count: 0, align: 1 }
    }
}

impl<'a> Elements<'a> {
    pub fn new(span: Span<'a>, align: usize) -> Result<Self, Fault> {
        let len = span.data.len();
        if len == 0 {
            return Ok(Elements { span, align, ..Elements::default() });
        }
        let width = offset_width(len);
        let expected = "a table of offsets at the end of the array";
        let last = len.checked_sub(width).ok_or(span.fault(0, expected))?;
        let table = read_offset(&span.data[last..]);
        if table > last || !(len - table).is_multiple_of(width) {
            return Err(span.fault(last, expected));
        }
        let count = (len - table) / width;
        if smallest_width(table, count) != width {
            return Err(span.fault(table, "offsets of the smallest width"));
        }
        Ok(Elements { span, table, width, count, align })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns element `index`, which must be below [`Elements::len`].
    pub fn get(&self, index: usize) -> Result<Span<'a>, Fault> {
        let previous = if index == 0 { 0 } else { self.end(index - 1) };
        let end = self.end(index);
        let entry = self.table + index * self.width;
        if previous > end || end > self.table {
            return Err(self.span.fault(entry, "ascending offsets within the array"));
        }
        let start = self.span.skip_padding(previous, end, self.align)?;
        Ok(self.span.slice(start, end))
    }

    /// Returns the bytes of the elements `from..to`, which need no padding and were read before,
    /// and the end of each within them.
    pub fn run(&self, from: usize, to: usize) -> (&'a [u8], impl Iterator<Item = usize>) {
        debug_assert_eq!(self.align, 1, "nothing lies between the elements");
        let start = if from == 0 { 0 } else { self.end(from - 1) };
        let end = if to == 0 { 0 } else { self.end(to - 1) };
        (&self.span.data[start..end], (from..to).map(move |index| self.end(index) - start))
    }

    fn end(&self, index: usize) -> usize {
        let entry = self.table + index * self.width;
        read_offset(&self.span.data[entry..entry + self.width])
    }
}

/// Returns the bytes of a string without its NUL, which must be the only one.
pub(crate) fn string_bytes(span: Span<'_>) -> Result<&[u8], Fault> {
    match span.data.split_last() {
        Some((0, text)) => match text.iter().position(|byte| *byte == 0) {
            None => Ok(text),
            Some(at) => Err(span.fault(at, "no NUL inside a string")),
        },
        _ => Err(span.fault(span.data.len(), "NUL at the end of a string")),
    }
}

/// Returns a string.
pub(crate) fn string(span: Span<'_>) -> Result<&str, Fault> {
    std::str::from_utf8(string_bytes(span)?)
        .map_err(|error| span.fault(error.valid_up_to(), "UTF-8 in a string"))
}

/// Pads `buffer` with zero bytes. Containers start at multiples of their own alignment, so
/// positions in the whole buffer align as positions in the container do.
pub(crate) fn pad(buffer: &mut Vec<u8>, align: usize) {
    buffer.resize(align_up(buffer.len(), align), 0);
}

/// Appends the offset table of the container that starts at `start`. Tuples hold theirs
/// backwards, which is for the caller to do.
pub(crate) fn push_offsets(
    buffer: &mut Vec<u8>,
    start: usize,
    ends: impl ExactSizeIterator<Item = usize>,
) {
    let width = smallest_width(buffer.len() - start, ends.len());
    for end in ends {
        buffer.extend_from_slice(&((end - start) as u64).to_le_bytes()[..width]);
    }
}

/// Layout of a tuple or dictionary entry with these members.
pub(crate) fn tuple_layout<'t>(members: impl Iterator<Item = &'t super::Type>) -> Layout {
    let mut align = 1;
    let mut size = Some(0);
    for member in members {
        let layout = member.layout();
        align = align.max(layout.align);
        size = size.zip(layout.size).map(|(sum, own)| align_up(sum, layout.align) + own);
    }
    // The unit tuple takes one byte, so that an array of units has a length.
    Layout { align, size: size.map(|sum| align_up(sum, align).max(1)) }
}
