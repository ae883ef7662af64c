//! `summary`: the list of refs that a repository offers.

use clap::Args;
use serde::Serialize;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_repo::summary::{
    Signer, Summary, SummaryPlan, SummaryRef, plan_summary, update_summary,
};
use trefoil_repo::{Repo, RepoError};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::signing::SignArgs;
use crate::{dates, keyvalue, size};

/// Arguments of `summary`.
#[derive(Args, Debug)]
pub struct SummaryArgs {
    /// Update the summary
    #[arg(short, long)]
    update: bool,
    /// View the local summary file
    #[arg(short = 'v', long)]
    view: bool,
    /// View the raw bytes of the summary file
    #[arg(long)]
    raw: bool,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Additional metadata field to add to the summary
    #[arg(short = 'm', long, value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
    /// Print debug information during command processing
    #[arg(id = "verbose", long = "verbose")]
    _verbose: bool,
    #[command(flatten)]
    sign: SignArgs,
    /// Only say what --update would write
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

const SUMMARY_LIMIT: u64 = 128 << 20;

/// Runs `summary`.
pub fn run(args: SummaryArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    if args.update {
        return update(&args, cx, &repo);
    }
    let part = if args.raw {
        Part::Raw
    } else if args.json {
        Part::Json
    } else if args.view {
        Part::All
    } else if args.list_metadata_keys {
        Part::Keys
    } else if let Some(key) = &args.print_metadata_key {
        Part::Value(key)
    } else {
        return Err(CliError::failed("No option specified; use -u to update summary"));
    };
    print(cx, &repo.dir().read("summary", SUMMARY_LIMIT)?, part)
}

/// What of a summary is to be shown.
pub enum Part<'a> {
    Raw,
    Json,
    All,
    Keys,
    Value(&'a str),
}

/// Shows a summary.
pub fn print(cx: &Context, bytes: &[u8], part: Part<'_>) -> Result<()> {
    match part {
        Part::Raw => cx.ui.line(Summary::parse_value(bytes)?.byteswapped().print(true)),
        Part::Json => view(cx, bytes, true),
        Part::All => view(cx, bytes, false),
        Part::Keys => {
            let mut keys = exts(bytes)?.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
            keys.sort_unstable();
            keys.iter().try_for_each(|key| cx.ui.line(key))
        }
        Part::Value(wanted) => {
            let found = exts(bytes)?.into_iter().find(|(key, _)| key == wanted);
            let missing = || CliError::failed(format!("No such metadata key '{wanted}'"));
            let (_, value) = found.ok_or_else(missing)?;
            cx.ui.line(value.byteswapped().print(true))
        }
    }
}

fn update(args: &SummaryArgs, cx: &Context, repo: &Repo) -> Result<()> {
    let extra = args.add_metadata.iter().map(|text| keyvalue::metadata_variant(text));
    let extra = Metadata(extra.collect::<Result<_>>()?);
    let signers = args.sign.signers(cx, &[])?;
    if args.dry_run {
        let plan = plan_summary(repo, dates::now(), &extra)?;
        let bytes = plan.summary.to_bytes();
        let signatures = signers.try_sign(repo, &bytes, &Metadata::default())?;
        return print_plan(cx, &plan, signatures, args.json);
    }
    let sign = |bytes: &[u8]| {
        let mut signatures = Metadata::default();
        let signed = signers.sign(repo, bytes, &mut signatures);
        signed.map_err(|e| RepoError::Refused(e.to_string()))?;
        Ok(signatures)
    };
    let signer: Option<Signer<'_>> = if signers.is_empty() { None } else { Some(&sign) };
    update_summary(repo, dates::now(), &extra, signer)?;
    Ok(())
}

/// What an update would write, for `--json`.
#[derive(Debug, Serialize)]
struct PlanView<'a> {
    dry_run: bool,
    refs: Vec<SummaryRefView>,
    /// The ref that would lead to a new commit, and would be listed with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_ref: Option<&'a str>,
    indexes_written: usize,
    indexes_removed: usize,
    signatures: usize,
}

/// Says what an update would write.
fn print_plan(cx: &Context, plan: &SummaryPlan, signatures: usize, json: bool) -> Result<()> {
    let summary = &plan.summary;
    let listed = listed(summary).into_iter().filter(|(_, r)| Some(&*r.name) != plan.metadata_ref);
    let (written, removed) = (plan.indexes.written.len(), plan.indexes.removed.len());
    if json {
        return cx.ui.json(&PlanView {
            dry_run: true,
            refs: listed.map(ref_view).collect(),
            metadata_ref: plan.metadata_ref,
            indexes_written: written,
            indexes_removed: removed,
            signatures,
        });
    }
    for (id, SummaryRef { name, commit, .. }) in listed {
        match id {
            Some(id) => cx.ui.line(format_args!("({id}, {name}) would be listed with {commit}"))?,
            None => cx.ui.line(format_args!("{name} would be listed with {commit}"))?,
        }
    }
    if let Some(name) = plan.metadata_ref {
        cx.ui.line(format_args!("{name} would point to a new commit, and be listed"))?;
    }
    if written + removed > 0 {
        cx.ui.line(format_args!("{written} delta indexes would be written, {removed} removed"))?;
    }
    match (signatures, plan.has_signatures) {
        (0, true) => cx.ui.line("the signatures of the summary would be removed"),
        (0, false) => cx.ui.line("the summary would be written, without signatures"),
        (count, _) => cx.ui.line(format_args!("the summary would get {count} signatures")),
    }
}

/// The refs of a summary with their collections.
fn listed(summary: &Summary) -> Vec<(Option<&str>, &SummaryRef)> {
    let main = summary.metadata.get_str("ostree.summary.collection-id");
    let mut listed: Vec<_> = summary.refs.iter().map(|r| (main, r)).collect();
    for (id, refs) in &summary.collections {
        listed.extend(refs.iter().map(|r| (Some(id.as_str()), r)));
    }
    listed
}

fn ref_view((id, r): (Option<&str>, &SummaryRef)) -> SummaryRefView {
    SummaryRefView {
        collection_id: id.map(str::to_string),
        name: r.name.clone(),
        commit: r.commit.to_hex(),
        commit_size: r.commit_size,
    }
}

/// The metadata of the summary file as it stands.
fn exts(bytes: &[u8]) -> Result<Vec<(String, Value)>> {
    let Value::Tuple(mut parts) = Summary::parse_value(bytes)? else {
        return Ok(Vec::new());
    };
    let metadata = parts.pop().map(Metadata::from_value).transpose()?;
    Ok(metadata.unwrap_or_default().0)
}

/// The summary, for `--json`.
#[derive(Debug, Serialize)]
struct SummaryView {
    refs: Vec<SummaryRefView>,
    /// GVariant text by key.
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct SummaryRefView {
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<String>,
    name: String,
    commit: String,
    commit_size: u64,
}

fn view(cx: &Context, bytes: &[u8], json: bool) -> Result<()> {
    let summary = Summary::parse(bytes)?;
    let listed = listed(&summary);
    let exts = exts(bytes)?;
    if json {
        let refs = listed.into_iter().map(ref_view);
        let metadata = exts.iter().map(|(key, value)| (key.clone(), value.print(false)));
        return cx.ui.json(&SummaryView { refs: refs.collect(), metadata: metadata.collect() });
    }
    for (id, r) in listed {
        cx.ui.text(ref_text(id, r))?;
    }
    for (key, value) in &exts {
        cx.ui.line(ext_text(key, value)).context("printing the summary")?;
    }
    Ok(())
}

fn ref_text(id: Option<&str>, r: &SummaryRef) -> String {
    let mut out = match id {
        Some(id) => format!("* ({id}, {})\n", r.name),
        None => format!("* {}\n", r.name),
    };
    let size = size::words(r.commit_size);
    out.push_str(&format!("    Latest Commit ({size}):\n      {}\n", r.commit));
    for (key, value) in &r.metadata.0 {
        out.push_str(&match (key.as_str(), value) {
            ("ostree.commit.timestamp", Value::Uint64(time)) => {
                format!("    Timestamp ({key}): {}\n", dates::local_iso(time.swap_bytes()))
            }
            ("ostree.commit.version", Value::Str(version)) => {
                format!("    Version ({key}): {version}\n")
            }
            _ => format!("    {key}: {}\n", value.print(false)),
        });
    }
    out.push('\n');
    out
}

fn ext_text(key: &str, value: &Value) -> String {
    let time = |time: &u64| dates::local_iso(time.swap_bytes());
    let (title, text) = match (key, value) {
        ("ostree.static-deltas", v) => ("Static Deltas", v.print(false)),
        ("ostree.summary.last-modified", Value::Uint64(t)) => ("Last-Modified", time(t)),
        ("ostree.summary.expires", Value::Uint64(t)) => ("Expires", time(t)),
        ("ostree.summary.collection-id", Value::Str(id)) => ("Collection ID", id.clone()),
        ("ostree.summary.collection-map", _) => ("Collection Map", "(printed above)".to_string()),
        ("ostree.summary.mode", Value::Str(mode)) => ("Repository Mode", mode.clone()),
        ("ostree.summary.tombstone-commits", Value::Bool(on)) => {
            ("Has Tombstone Commits", if *on { "Yes" } else { "No" }.to_string())
        }
        _ => return format!("{key}: {}", value.print(false)),
    };
    format!("{title} ({key}): {text}")
}
