//! Extended attributes in their canonical order.

use crate::error::{FormatError, Result};
use crate::gvariant::frame::{Elements, Fault, Members, Span, push_offsets};

const WHAT: &str = "xattrs";

/// Name and value of one attribute; the name has no NUL.
type Xattr = (Box<[u8]>, Box<[u8]>);

/// Extended attributes, sorted by the bytes of their names, each name once.
///
/// Serialised as `a(ayay)`, where names end in NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xattrs(Vec<Xattr>);

impl Xattrs {
    /// Sorts the attributes. Of attributes with the same name the first stays; the kernel
    /// never lists a name twice.
    pub fn new(list: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut sorted: Vec<Xattr> =
            list.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.dedup_by(|later, first| later.0 == first.0);
        Xattrs(sorted)
    }

    /// Takes the attributes that an inode has, as the kernel lists them. Those with an empty
    /// value are left out, as libostree does: it would find the object corrupt otherwise.
    pub fn of_inode(list: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self::new(list.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Returns names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Tells whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of attributes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the value of the attribute `name`.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let index = self.0.binary_search_by(|(own, _)| (**own).cmp(name.as_ref())).ok()?;
        Some(&self.0[index].1)
    }

    /// Reads the serialised form and refuses any order but the canonical one.
    pub fn parse(data: &[u8]) -> Result<Self> {
        Self::parse_span(Span::new(data), WHAT)
    }

    /// Serialises the list as `a(ayay)`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.write(&mut buffer);
        buffer
    }

    /// Reads a canonical list that is part of `what`.
    pub(crate) fn parse_span(span: Span<'_>, what: &'static str) -> Result<Self> {
        let list = read_list(span, what)?;
        match list.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            None => Ok(Xattrs(list)),
            Some(pair) if pair[0].0 == pair[1].0 => Err(duplicate(&pair[0].0)),
            Some(pair) => Err(FormatError::invalid(
                WHAT,
                format!(
                    "Incorrectly sorted xattr name (prev={}, cur={})",
                    String::from_utf8_lossy(&pair[0].0),
                    String::from_utf8_lossy(&pair[1].0)
                ),
            )),
        }
    }

    /// Reads a list in any order. Older libostree left the order of the kernel in the headers
    /// of archive objects, although the checksum is that of the sorted list.
    pub(crate) fn parse_span_unsorted(span: Span<'_>, what: &'static str) -> Result<Self> {
        let mut list = read_list(span, what)?;
        list.sort_by(|a, b| a.0.cmp(&b.0));
        match list.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(Xattrs(list)),
            Some(pair) => Err(duplicate(&pair[0].0)),
        }
    }

    /// Appends the serialised form; it needs no alignment.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        let mut ends = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let element = buffer.len();
            buffer.extend_from_slice(name);
            buffer.push(0);
            let name_end = buffer.len();
            buffer.extend_from_slice(value);
            push_offsets(buffer, element, [name_end].into_iter());
            ends.push(buffer.len());
        }
        push_offsets(buffer, start, ends.into_iter());
    }
}

fn duplicate(name: &[u8]) -> FormatError {
    let name = String::from_utf8_lossy(name);
    FormatError::invalid(WHAT, format!("Duplicate xattr name {name}"))
}

fn read_list(span: Span<'_>, what: &'static str) -> Result<Vec<Xattr>> {
    let fault = |fault: Fault| fault.of(what);
    let elements = Elements::new(span, 1).map_err(fault)?;
    let mut list = Vec::with_capacity(elements.len());
    for index in 0..elements.len() {
        let mut members = Members::new(elements.get(index).map_err(fault)?, 1).map_err(fault)?;
        let name = members.framed(1).map_err(fault)?.data;
        let value = members.last(1).map_err(fault)?.data;
        match name.split_last() {
            Some((0, name)) if !name.is_empty() && !name.contains(&0) => {
                list.push((name.into(), value.into()));
            }
            _ => {
                let why = format!("Invalid xattr name (empty or missing NUL) index={index}");
                return Err(FormatError::invalid(WHAT, why));
            }
        }
    }
    Ok(list)
}
