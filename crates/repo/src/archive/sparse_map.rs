use trefoil_format::tar::{BLOCK, Block, Extent, Extents, Header, decimal, more_extents};

use super::sparse::Layout;
use super::tar::Tar;
use crate::{RepoError, Result};

/// Extents of one sparse file.
const MAX_EXTENTS: u64 = 1 << 20;
/// Digits of a number in the map of a sparse file.
const MAX_LINE: usize = 32;

/// The records of a sparse file in a pax archive.
#[derive(Default)]
pub(super) struct Sparse {
    pub any: bool,
    major: u64,
    /// The name of the file: that of the entry is made up.
    pub name: Option<Vec<u8>>,
    real_size: Option<u64>,
    size: Option<u64>,
    offset: Option<u64>,
    extents: Vec<Extent>,
}

impl Tar<'_> {
    /// Takes in a record of the group `GNU.sparse`.
    pub(super) fn sparse_record(
        &self,
        key: &[u8],
        value: &[u8],
        sparse: &mut Sparse,
    ) -> Result<()> {
        let number = |what| self.input.checked(decimal(value, what));
        sparse.any = true;
        match key {
            b"major" => sparse.major = number("major")?,
            b"name" => sparse.name = Some(value.to_vec()),
            b"realsize" => sparse.real_size = Some(number("real size")?),
            b"size" => sparse.size = Some(number("sparse size")?),
            b"offset" => sparse.offset = Some(number("sparse offset")?),
            b"numbytes" => {
                let start = sparse.offset.take();
                let start =
                    start.ok_or_else(|| self.input.damaged("sparse size without offset"))?;
                sparse.extents.push(Extent { start, len: number("sparse size")? });
            }
            b"map" => {
                let numbers = value.split(|byte| *byte == b',');
                let numbers: std::result::Result<Vec<_>, _> =
                    numbers.map(|number| decimal(number, "sparse map")).collect();
                let pairs = self.input.checked(numbers)?;
                let extent = |pair: &[u64]| Extent { start: pair[0], len: pair[1] };
                sparse.extents = pairs.chunks_exact(2).map(extent).collect();
            }
            _ => {}
        }
        Ok(())
    }

    /// Where the data of a file is. A map that is part of the content is read.
    pub(super) fn layout_of(&mut self, header: &Header<'_>, sparse: &Sparse) -> Result<Layout> {
        let (extents, size) = if header.type_flag() == b'S' {
            (self.old_map(header)?, self.input.checked(header.real_size())?)
        } else if !sparse.any {
            return Ok(Layout::plain(self.stored));
        } else if sparse.major == 0 {
            (sparse.extents.clone(), sparse.size.or(sparse.real_size).unwrap_or(self.stored))
        } else {
            (self.map()?, sparse.real_size.unwrap_or(self.stored))
        };
        let layout = Layout::sparse(&self.input, extents, size)?;
        let data = layout.data_len();
        if data > self.stored {
            return Err(self.input.damaged("a sparse file has less data than its map tells"));
        }
        let left = self.holes_left.checked_sub(size - data);
        self.holes_left = left.ok_or_else(|| {
            let problem = format!("holes of {} bytes are more than is allowed", size - data);
            RepoError::Archive { at: self.input.at(), problem }
        })?;
        Ok(layout)
    }

    /// The map of GNU's old format: in the header, and in blocks behind it.
    fn old_map(&mut self, header: &Header<'_>) -> Result<Vec<Extent>> {
        let Extents { mut list, mut more } = self.input.checked(header.extents())?;
        while more {
            let mut block: Block = [0; BLOCK];
            self.input.fill(&mut block)?;
            let next = self.input.checked(more_extents(&block))?;
            list.extend(next.list);
            more = next.more;
            self.check_extents(list.len() as u64)?;
        }
        Ok(list)
    }

    /// The map of version 1.0: lines of numbers before the data, padded to a block.
    fn map(&mut self) -> Result<Vec<Extent>> {
        let before = self.stored;
        let count = self.line()?;
        self.check_extents(count)?;
        let mut extents = Vec::new();
        for _ in 0..count {
            extents.push(Extent { start: self.line()?, len: self.line()? });
        }
        let used = before - self.stored;
        let pad = used.next_multiple_of(BLOCK as u64) - used;
        if pad > self.stored {
            return Err(self.input.damaged("truncated map of a sparse file"));
        }
        self.input.skip(pad)?;
        self.stored -= pad;
        Ok(extents)
    }

    fn line(&mut self) -> Result<u64> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            if self.stored == 0 || line.len() > MAX_LINE {
                return Err(self.input.damaged("damaged map of a sparse file"));
            }
            self.input.fill(&mut byte)?;
            self.stored -= 1;
            match byte[0] {
                b'\n' => return self.input.checked(decimal(&line, "sparse map")),
                byte => line.push(byte),
            }
        }
    }

    fn check_extents(&self, count: u64) -> Result<()> {
        match count <= MAX_EXTENTS {
            true => Ok(()),
            false => Err(self.input.damaged("the map of a sparse file is too long")),
        }
    }
}
