//! A static HTTP server for one OSTree repository: for the LAN, and for VMs on this host.
//!
//! [`Server::bind`] takes a repository and an address, [`Server::run`] answers until it is told
//! to stop. HTTP/1.1 with kept connections and HTTP/2 without TLS (prior knowledge, "h2c") are
//! spoken on the same port; `GET` and `HEAD` only, but for reports.
//!
//! # What is served
//!
//! | path | from | caches |
//! |---|---|---|
//! | `config` | made for clients: the keys of `core` that a client asks for, mode `archive-z2` | ask again |
//! | `objects/XX/NAME` with suffix `filez`, `dirtree`, `dirmeta`, `commit` | the object of this repository or of a parent | a year, immutable |
//! | the same with `commitmeta`, `tombstone-commit` | the file | ask again |
//! | `refs/heads/REF`, `refs/mirrors/COLLECTION/REF` | the ref, here or in a parent; a link to another ref is followed below the same directory | ask again |
//! | `summary`, `summary.sig`, `summary.idx`, `summary.idx.sig`, `summaries/NAME` | the file; only of an archive repository | ask again |
//! | `deltas/...`, `delta-indexes/...`, `extensions/...` | the file | ask again |
//! | `trefoil/follow` | see below; only with [`Options::follow`] | never |
//! | `trefoil/report` | see below; only with [`Options::follow`] and after [`Server::hear`] | never |
//!
//! Everything else is 404: other paths, directories, symbolic links, names with a leading dot.
//! Files are opened beneath held directories and no link is followed, so no path leaves them.
//! Deltas are named by the commits they lead from and to and not by their content, and can be
//! made anew; that is why they are not immutable to caches.
//!
//! Content objects of a repository that is not in mode archive are packed while they are sent
//! (`docs/decisions/0007-serve-packs.md`): the length of all but small ones is not told beforehand,
//! and no part can be asked for.
//!
//! # The protocol for following a ref
//!
//! `GET /trefoil/follow?ref=NAME&current=CHECKSUM&timeout=SECONDS`
//!
//! answers `200` with `{"ref": NAME, "checksum": CHECKSUM}` as soon as the local ref NAME exists
//! and is not at `current`, at once if that is so already. `current` may be left out; `timeout` is
//! 30 where it is left out and 300 at most. When the time is up, or the server ends, the answer
//! tells where the ref is all the same: a checksum equal to `current` means "nothing new, ask
//! again". `404` means that there is still no such ref, `400` that the question makes no sense,
//! `503` with `Retry-After` that too many wait already. The answer is never to be cached.
//!
//! A client that only asks again can miss moves between two answers, never the last one. Refs
//! are looked at every 40 milliseconds while anybody waits, each ref once however many wait
//! for it, and not at all while nobody does.
//!
//! # The protocol for reporting
//!
//! `POST /trefoil/report` with a [`Report`] in JSON, of 16 KiB at most and of the type
//! `application/json`, tells what came of a commit on the machine that follows:
//!
//! `{"ref": NAME, "commit": CHECKSUM, "machine": NAME, "state": "deployed" | "booted" | "failed",
//! "apply": "reboot" | "soft-reboot" | "none", "pulled_ms": N, "deployed_ms": N, "booted_ms": N,
//! "error": TEXT}`, the last four as far as there is something to tell.
//!
//! The answer is `204`; `400` for what is no report, `413` for one that is too long, `415` for
//! another type. It may be sent again where no answer came. Whoever reaches the server can send
//! one: it is a word to whoever looks on, and nothing is done because of it.
//!
//! # Bounds
//!
//! Connections, requests being answered, objects being packed and waiting followers are each
//! limited ([`Limits`]); more have to wait, at the end with `503`. A connection that asks
//! nothing, asks too slowly, or does not take what it is sent is closed. Memory is that of the
//! answers under way: at most about 130 KiB each, and 300 KiB more for one that packs. Places are
//! not shared out between clients: one that is slow on purpose can occupy all of them, so a
//! hostile network wants a front end before this.
//!
//! What this crate never does: write to the repository, print, read the environment.

mod access;
mod body;
mod conditional;
mod connection;
mod error;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
mod open;
mod pack;
mod report;
mod resource;
mod respond;
mod server;

pub use access::Access;
pub use error::{Result, ServeError};
pub use report::{Apply, Report, State};
pub use resource::{RefBase, Resource};
pub use server::{Limits, Options, Server, Stopper};
