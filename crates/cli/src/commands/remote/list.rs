//! `remote list`.

use clap::Args;
use serde::Serialize;
use trefoil_repo::remote::list_remotes;

use super::Place;
use crate::context::Context;
use crate::error::Result;

/// Arguments of `remote list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Show remote URLs in list
    #[arg(short = 'u', long)]
    show_urls: bool,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// A remote, for `--json`.
#[derive(Debug, Serialize)]
struct RemoteView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Runs `remote list`.
pub fn run(args: ListArgs, cx: &Context) -> Result<()> {
    let place = Place::open(cx, None)?;
    let remotes = list_remotes(&place.repo, place.remotes_d.as_ref())?;
    if args.json {
        let view = remotes.values().map(|r| RemoteView { name: r.name.clone(), url: r.url().ok() });
        return cx.ui.json(&view.collect::<Vec<_>>());
    }
    let width = remotes.keys().map(String::len).max().unwrap_or(0);
    for (name, remote) in &remotes {
        match args.show_urls {
            true => cx.ui.line(format_args!("{name:<width$}  {}", remote.url()?))?,
            false => cx.ui.line(name)?,
        }
    }
    Ok(())
}
