//! Reads operations into recipes.

use std::ops::Range;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};

use super::{Part, Piece, Recipe, RecipeKind};
use crate::{DeltaError, Result, varint};

pub(super) const OPEN_SPLICE_AND_CLOSE: u8 = b'S';
pub(super) const OPEN: u8 = b'o';
pub(super) const WRITE: u8 = b'w';
pub(super) const SET_READ_SOURCE: u8 = b'r';
pub(super) const UNSET_READ_SOURCE: u8 = b'R';
pub(super) const CLOSE: u8 = b'c';
pub(super) const BSPATCH: u8 = b'B';

/// How many operations of each kind there are.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct OpStats {
    /// An object of bytes that are in the part.
    pub open_splice_and_close: u32,
    /// The beginning of a file that is put together.
    pub open: u32,
    /// A piece of it.
    pub write: u32,
    /// Pieces come from an object from here on.
    pub set_read_source: u32,
    /// Pieces come from the part again.
    pub unset_read_source: u32,
    /// The end of a file.
    pub close: u32,
    /// A whole file, by a patch.
    pub bspatch: u32,
}

impl Part {
    /// Reads the operations, which make `objects` in their order.
    ///
    /// # Errors
    /// Operations that reach beyond the payload, do not follow from each other, make files of
    /// another size than they say, or make more or fewer objects than there are.
    pub fn recipes(&self, objects: &[ObjectName]) -> Result<(Vec<Recipe>, OpStats)> {
        let mut run = Run {
            part: self,
            at: 0,
            op: ("", 0),
            objects,
            source: None,
            open: None,
            made: Vec::with_capacity(objects.len()),
            stats: OpStats::default(),
        };
        // An empty part has neither objects nor operations.
        if objects.is_empty() {
            return Ok((run.made, run.stats));
        }
        while run.at < self.ops.len() {
            run.step()?;
        }
        if run.open.is_some() || run.made.len() != objects.len() {
            return Err(DeltaError::invalid(format!(
                "part makes {} objects of the {} it lists",
                run.made.len(),
                objects.len()
            )));
        }
        Ok((run.made, run.stats))
    }
}

/// A file between open and close.
struct Open {
    name: ObjectName,
    owner: usize,
    xattrs: usize,
    size: u64,
    filled: u64,
    pieces: Vec<Piece>,
}

struct Run<'a> {
    part: &'a Part,
    at: usize,
    /// The operation being read, for messages: its name and place.
    op: (&'static str, usize),
    objects: &'a [ObjectName],
    source: Option<Checksum>,
    open: Option<Open>,
    made: Vec<Recipe>,
    stats: OpStats,
}

impl Run<'_> {
    fn step(&mut self) -> Result<()> {
        let (start, code) = (self.at, self.part.ops[self.at]);
        self.at += 1;
        let stats = &mut self.stats;
        let (name, count, run): (_, _, fn(&mut Self) -> Result<()>) = match code {
            OPEN_SPLICE_AND_CLOSE => {
                ("open-splice-and-close", &mut stats.open_splice_and_close, Self::splice)
            }
            OPEN => ("open", &mut stats.open, Self::open),
            WRITE => ("write", &mut stats.write, Self::write),
            SET_READ_SOURCE => ("set-read-source", &mut stats.set_read_source, Self::set_source),
            UNSET_READ_SOURCE => {
                ("unset-read-source", &mut stats.unset_read_source, Self::unset_source)
            }
            CLOSE => ("close", &mut stats.close, Self::close),
            BSPATCH => ("bspatch", &mut stats.bspatch, Self::bspatch),
            _ => {
                return Err(DeltaError::invalid(format!(
                    "Unknown opcode {code} at offset {start}"
                )));
            }
        };
        *count += 1;
        self.op = (name, start);
        run(self)
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(DeltaError::Op { op: self.op.0, offset: self.op.1, problem: problem.into() })
    }

    fn number(&mut self) -> Result<u64> {
        match varint::read(&self.part.ops[self.at..]) {
            Some((number, len)) => {
                self.at += len;
                Ok(number)
            }
            None => self.fail("Unexpected EOF reading varint"),
        }
    }

    /// A number that is the place of something in a table.
    fn index(&mut self, len: usize, what: &str) -> Result<usize> {
        let number = self.number()?;
        match usize::try_from(number) {
            Ok(index) if index < len => Ok(index),
            _ => self.fail(format!("there is no {what} {number}")),
        }
    }

    fn payload(&self, offset: u64, len: u64) -> Result<Range<usize>> {
        let end = offset.checked_add(len).filter(|end| *end <= self.part.payload.len() as u64);
        match end {
            Some(end) => Ok(offset as usize..end as usize),
            None => self.fail(format!("Invalid offset/length {offset}/{len}")),
        }
    }

    fn next_object(&self) -> Result<ObjectName> {
        match self.objects.get(self.made.len()) {
            _ if self.open.is_some() => self.fail("the object before is not closed"),
            Some(name) => Ok(*name),
            None => self.fail("there is no object left to be made"),
        }
    }

    fn owner_and_xattrs(&mut self) -> Result<(usize, usize)> {
        let owner = self.index(self.part.owners.len(), "mode")?;
        Ok((owner, self.index(self.part.xattrs.len(), "set of attributes")?))
    }

    fn splice(&mut self) -> Result<()> {
        let name = self.next_object()?;
        let kind = if name.kind.is_metadata() {
            let (len, offset) = (self.number()?, self.number()?);
            if len > MAX_METADATA_SIZE {
                return self.fail(format!("metadata of {len} bytes"));
            }
            RecipeKind::Metadata(self.payload(offset, len)?)
        } else {
            self.require_file(&name)?;
            let (owner, xattrs) = self.owner_and_xattrs()?;
            let (size, offset) = (self.number()?, self.number()?);
            let pieces = vec![Piece::Payload(self.payload(offset, size)?)];
            RecipeKind::File { owner, xattrs, size, pieces }
        };
        self.finish(Recipe { name, kind })
    }

    fn require_file(&self, name: &ObjectName) -> Result<()> {
        match name.kind {
            ObjectType::File => Ok(()),
            _ => self.fail(format!("{name} cannot be made by a delta")),
        }
    }

    fn open(&mut self) -> Result<()> {
        let name = self.next_object()?;
        self.require_file(&name)?;
        let (owner, xattrs) = self.owner_and_xattrs()?;
        let size = self.number()?;
        self.open = Some(Open { name, owner, xattrs, size, filled: 0, pieces: Vec::new() });
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let (len, offset) = (self.number()?, self.number()?);
        let piece = match self.source {
            Some(source) => Piece::Copy { source, offset, len },
            None => Piece::Payload(self.payload(offset, len)?),
        };
        self.push(piece)
    }

    fn bspatch(&mut self) -> Result<()> {
        let (offset, len) = (self.number()?, self.number()?);
        let patch = self.payload(offset, len)?;
        match self.source {
            Some(source) => self.push(Piece::Patch { source, patch }),
            None => self.fail("there is no read source"),
        }
    }

    fn push(&mut self, piece: Piece) -> Result<()> {
        let Some(open) = &mut self.open else { return self.fail("no object is open") };
        let len = piece.len(open.size);
        match open.filled.checked_add(len).filter(|filled| *filled <= open.size) {
            Some(filled) => {
                open.filled = filled;
                if len > 0 {
                    open.pieces.push(piece);
                }
                Ok(())
            }
            None => {
                let size = open.size;
                self.fail(format!("more than the {size} bytes of the object"))
            }
        }
    }

    fn set_source(&mut self) -> Result<()> {
        let offset = self.number()?;
        let range = self.payload(offset, Checksum::LEN as u64)?;
        let checksum = Checksum::from_slice(&self.part.payload[range]);
        self.source = Some(checksum.map_err(DeltaError::format("read source"))?);
        Ok(())
    }

    fn unset_source(&mut self) -> Result<()> {
        self.source = None;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return self.fail("no object is open") };
        let Open { name, owner, xattrs, size, filled, pieces } = open;
        if filled != size {
            return self.fail(format!("{filled} bytes of the {size} of the object"));
        }
        self.finish(Recipe { name, kind: RecipeKind::File { owner, xattrs, size, pieces } })
    }

    /// The read source ends with the object it was set for.
    fn finish(&mut self, recipe: Recipe) -> Result<()> {
        self.made.push(recipe);
        self.source = None;
        Ok(())
    }
}
