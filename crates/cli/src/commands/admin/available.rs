//! `admin upgrade --check`: whether there is something to upgrade to, without a change.

use serde::Serialize;
use trefoil_format::name::Refspec;
use trefoil_repo::pull::Peeked;

use super::target::Target;
use super::upgrader::Upgrader;
use crate::dates;
use crate::error::Result;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct View {
    available: bool,
    refspec: String,
    checksum: String,
    timestamp: u64,
    version: Option<String>,
}

impl View {
    fn new(refspec: &Refspec, found: &Peeked, upgrader: &Upgrader<'_>) -> View {
        View {
            available: found.checksum != upgrader.merge.checksum,
            refspec: refspec.to_string(),
            checksum: found.checksum.to_hex(),
            timestamp: found.commit.timestamp,
            version: found.commit.metadata.get_str("version").map(str::to_string),
        }
    }
}

/// Prints it. Without an upgrade that is said as by an upgrade, and is a success too.
pub fn report(
    target: &Target<'_>,
    upgrader: &Upgrader<'_>,
    allow_older: bool,
    json: bool,
) -> Result<()> {
    let (refspec, found) = upgrader.peek(allow_older)?;
    let view = View::new(&refspec, &found, upgrader);
    let ui = &target.cx.ui;
    if json {
        return ui.json(&view);
    }
    if !view.available {
        return ui.line("No update available.");
    }
    ui.line(format_args!("Update available: {}", view.refspec))?;
    ui.line(format_args!("  Commit: {}", view.checksum))?;
    if let Some(version) = &view.version {
        ui.line(format_args!("  Version: {version}"))?;
    }
    ui.line(format_args!("  Timestamp: {}", dates::utc_iso(view.timestamp)))
}
