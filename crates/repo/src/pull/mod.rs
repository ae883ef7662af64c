//! Bringing commits over: from another repository on this machine (`ostree pull-local`, and
//! `ostree pull` from a `file://` remote) with [`pull_local`], from a remote over the network
//! with [`pull_remote`].

mod beside;
mod checks;
mod directory;
mod error;
mod local;
mod objects;
mod options;
mod paths;
mod peek;
mod remote;
mod request;
mod stats;
pub mod transport;

pub use directory::DirTransport;
pub use error::PullError;
pub use local::{plan_pull_local, pull_local};
pub use options::PullOptions;
pub use peek::{Peeked, peek_local, peek_remote};
pub use remote::{
    PullProgress, PullSource, RemoteSummary, SummaryCache, prune_summary_cache, pull_remote,
};
pub use request::PullRef;
pub use stats::{DeltaForecast, PullPlan, PullStats};

type Outcome<T> = std::result::Result<T, PullError>;
