//! Signatures made by OpenSSL and by GnuPG, and what hostile bytes do. The keys in `data` were
//! made for these tests and protect nothing.

#[cfg(feature = "gpg")]
mod gpg;
mod hostile;
mod keys;
