//! GVariant: typed values, their serialised normal form and their text form.
//!
//! Reading is strict: only the normal form passes, so writing a value that was read gives back
//! the same bytes. Numbers are little-endian as on the machines OSTree runs on; formats that
//! hold big-endian numbers swap them themselves.

pub(crate) mod frame;
mod print;
pub(crate) mod read;
mod text;
mod ty;
mod value;
mod vardict;
mod write;

pub(crate) use ty::Layout;
pub use ty::{MAX_DEPTH, MAX_TYPE_LEN, Type};
pub use value::{MAX_VALUES, Value};
pub use vardict::Metadata;
