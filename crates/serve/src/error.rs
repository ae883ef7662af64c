use std::io;
use std::net::SocketAddr;

/// Result of starting or running a server.
pub type Result<T> = std::result::Result<T, ServeError>;

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("listening on {address}")]
    Bind {
        /// As it was asked for.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Threads, timers or signal handlers cannot be had.
    #[error("starting the server")]
    Start(#[source] io::Error),
}
