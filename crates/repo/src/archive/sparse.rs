use std::io::{self, Read};

use trefoil_format::tar::Extent;

use super::input::Input;
use crate::Result;

/// The content of an entry: stretches of data with holes between, which read as zeros.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// In order, none beyond `size`; those that were read are taken off the front.
    extents: std::collections::VecDeque<Extent>,
    /// Size with holes, in bytes.
    size: u64,
    /// How far it was read.
    offset: u64,
}

impl Layout {
    /// Content without holes.
    pub fn plain(size: u64) -> Self {
        Layout { extents: [Extent { start: 0, len: size }].into(), size, offset: 0 }
    }

    /// Content whose data is at `extents` only.
    pub fn sparse(input: &Input<'_>, extents: Vec<Extent>, size: u64) -> Result<Self> {
        let mut end = 0;
        for extent in &extents {
            let next = extent.start.checked_add(extent.len).filter(|next| *next <= size);
            match next {
                Some(next) if extent.start >= end => end = next,
                _ => return Err(input.damaged("the map of a sparse file is out of order")),
            }
        }
        Ok(Layout { extents: extents.into(), size, offset: 0 })
    }

    /// Size with holes, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of data.
    pub fn data_len(&self) -> u64 {
        self.extents.iter().map(|extent| extent.len).sum()
    }

    /// Reads on; `stored` counts down what the archive still has of the entry.
    pub fn read(
        &mut self,
        input: &mut Input<'_>,
        stored: &mut u64,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        while self.extents.front().is_some_and(|e| e.start + e.len <= self.offset) {
            self.extents.pop_front();
        }
        let next = self.extents.front();
        let (data, end) = match next {
            Some(extent) if extent.start <= self.offset => (true, extent.start + extent.len),
            Some(extent) => (false, extent.start),
            None => (false, self.size),
        };
        let len = buffer.len().min(usize::try_from(end - self.offset).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let n = if data {
            let len = len.min(usize::try_from(*stored).unwrap_or(usize::MAX));
            let n = if len == 0 { 0 } else { input.read(&mut buffer[..len])? };
            if n == 0 {
                let text = format!("truncated archive at byte {}", input.at());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            *stored -= n as u64;
            n
        } else {
            buffer[..len].fill(0);
            len
        };
        self.offset += n as u64;
        Ok(n)
    }
}
