use trefoil_fsat::{File, LockMode};

use crate::{ImageError, Result};

/// QEMU locks one byte for each thing it does with an image, from here on ...
const QEMU_DOES: u32 = 100;
/// ... and one for each thing nobody else may do meanwhile.
const QEMU_FORBIDS: u32 = 200;
/// More permissions than there are.
const QEMU_SPAN: u32 = 64;
/// Their numbers.
const READ: u32 = 0;
const WRITE: u32 = 1;
const RESIZE: u32 = 3;
/// The byte by which runs of this program keep each other out.
const OURS: u32 = 0;

/// Who else opens the file while we have it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nobody: QEMU refuses to start on it.
    All,
    /// QEMU's own tools, which we are about to run on it.
    ButQemu,
}

/// Keeps an open image to ourselves, by locks that go when the handle is closed.
///
/// # Errors
/// Another run of this program, or QEMU, has it.
pub(crate) fn hold(file: &File, keep: Keep) -> Result<()> {
    let in_use = |by: &str| ImageError::InUse { path: file.path().to_path_buf(), by: by.into() };
    if !file.lock_bytes(OURS, 1, LockMode::Exclusive)? {
        return Err(in_use("another run of this program works on it"));
    }
    if keep == Keep::All {
        // As QEMU does it: say first, then look who else said something.
        for byte in
            [QEMU_DOES + WRITE, QEMU_FORBIDS + READ, QEMU_FORBIDS + WRITE, QEMU_FORBIDS + RESIZE]
        {
            if !file.lock_bytes(byte, 1, LockMode::Shared)? {
                return Err(in_use("QEMU is opening it"));
            }
        }
    }
    for first in [QEMU_DOES, QEMU_FORBIDS] {
        if file.has_locked_bytes(first, QEMU_SPAN)? {
            return Err(in_use("QEMU has it open; shut the virtual machine down first"));
        }
    }
    Ok(())
}
