//! The host that is followed: where a ref is there, and what it is told.

use std::time::Duration;

use serde::Deserialize;
use trefoil_fetch::Caller;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};
use trefoil_repo::pull::transport::{FetchError, FetchProblem};
use trefoil_repo::remote::find_remote;
use trefoil_serve::Report;

use super::super::target::Target;
use crate::commands::remote::Place;
use crate::error::{CliError, Context as _, Result};
use crate::fetching::{HttpArgs, RemotePull};

/// Longest answer to the question where a ref is.
const ANSWER_LIMIT: usize = 4096;
/// How much longer than it was asked to wait the host may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a report may take to be heard.
const TELL_PATIENCE: Duration = Duration::from_secs(10);

/// A host that answers `trefoil/follow`.
#[derive(Debug)]
pub struct Host {
    caller: Caller,
}

#[derive(Deserialize)]
struct Position {
    checksum: String,
}

impl Host {
    /// The host at `url`, for what the origin `refspec` follows. How it is talked to, and what
    /// is believed of what it sends, is up to the remote of the origin.
    pub fn open(target: &Target<'_>, refspec: &Refspec, url: &str) -> Result<Host> {
        let Some(name) = &refspec.remote else {
            return Err(CliError::Advised(
                format!(
                    "The origin '{refspec}' names no remote, and only a remote says what of a \
                     host is to be trusted"
                ),
                "name one: 'trefoil admin set-origin NAME URL BRANCH' (with --index=0 if the \
                 sysroot is not running), or 'trefoil admin deploy NAME:BRANCH'",
            ));
        };
        let place = Place::open(target.cx, Some(target.path()))?;
        let remote = find_remote(&place.repo, place.remotes_d.as_ref(), name.as_str());
        let remote = remote.map_err(|e| {
            CliError::Advised(
                format!("The origin is '{refspec}': {e}"),
                "add it with 'trefoil remote add NAME URL', and --gpg-import=KEY to verify what it \
                 sends or --no-sign-verify for a host that you trust",
            )
        })?;
        let http = HttpArgs::default();
        let pull =
            RemotePull { cx: target.cx, place: &place, remote: &remote, url: None, http: &http };
        Ok(Host { caller: pull.caller(url).context("--follow")? })
    }

    /// The address, without what is secret in it.
    pub fn address(&self) -> String {
        self.caller.address()
    }

    /// Where the ref is, as soon as that is not `current`, at the latest after `wait` (of which
    /// whole seconds count).
    pub fn position(
        &self,
        name: &RefName,
        current: Option<&Checksum>,
        wait: Duration,
    ) -> Result<Checksum> {
        let (current, seconds) =
            (current.map(Checksum::to_hex).unwrap_or_default(), wait.as_secs().to_string());
        let query = [("ref", name.as_str()), ("current", &current), ("timeout", &seconds)];
        let patience = Duration::from_secs(wait.as_secs()) + PATIENCE;
        let asked = self.caller.ask("trefoil/follow", &query, patience, ANSWER_LIMIT);
        let answer = asked.map_err(|e| self.missing(e, name))?;
        let position: Position =
            serde_json::from_slice(&answer).context("the host's answer makes no sense")?;
        Ok(position.checksum.parse()?)
    }

    /// Tells what came of a commit. False where the host does not want to know.
    pub fn tell(&self, report: &Report) -> Result<bool> {
        match self.caller.tell("trefoil/report", report.to_bytes(), TELL_PATIENCE) {
            Ok(()) => Ok(true),
            Err(FetchError { problem: FetchProblem::Status(404 | 405), .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Says what a host lacks that cannot be followed.
    fn missing(&self, error: FetchError, name: &RefName) -> CliError {
        match error.problem {
            FetchProblem::Status(404) => CliError::Advised(
                format!("{}: no ref '{name}' there, or nothing to follow", self.address()),
                "the host has to run 'trefoil dev' or 'trefoil serve --follow', on a repository \
                 with this ref",
            ),
            _ => error.into(),
        }
    }
}
