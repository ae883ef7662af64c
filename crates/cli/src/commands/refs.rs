//! `refs`: list, make and delete refs.

use clap::Args;
use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::{CollectionId, RefName, Refspec};
use trefoil_repo::remote::list_remotes;
use trefoil_repo::{ListRefs, Repo};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};

/// Arguments of `refs`.
#[derive(Args, Debug)]
pub struct RefsArgs {
    /// Refs to list or delete, or the commit for a new ref
    #[arg(value_name = "[PREFIX]")]
    prefixes: Vec<String>,
    /// Delete refs which match PREFIX, rather than listing them
    #[arg(long)]
    delete: bool,
    /// Do not remove the prefix from the refs
    #[arg(long)]
    list: bool,
    /// Show revisions in listing
    #[arg(short, long)]
    revision: bool,
    /// If used with --create, create an alias, otherwise just list aliases
    #[arg(short = 'A', long)]
    alias: bool,
    /// Create a new ref for an existing commit
    #[arg(long, value_name = "NEWREF")]
    create: Option<String>,
    /// Enable listing collection IDs for refs
    #[arg(short, long)]
    collections: bool,
    /// Overwrite existing refs when creating
    #[arg(long)]
    force: bool,
    /// Only say what --delete or --create would do
    #[arg(long)]
    dry_run: bool,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// A ref as it is listed.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct RefView {
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<String>,
    name: String,
    commit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_of: Option<String>,
}

impl RefView {
    fn text(&self, args: &RefsArgs) -> String {
        let name = match &self.collection_id {
            Some(id) => format!("({id}, {})", self.name),
            None => self.name.clone(),
        };
        match &self.alias_of {
            Some(target) if args.alias => format!("{name} -> {target}"),
            _ if args.revision => format!("{name}\t{}", self.commit),
            _ => name,
        }
    }
}

/// Runs `refs`.
pub fn run(args: RefsArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    if args.delete && args.prefixes.is_empty() {
        return Err(CliError::failed("At least one PREFIX is required when deleting refs"));
    }
    if let Some(name) = &args.create {
        let [target] = args.prefixes.as_slice() else {
            return Err(CliError::failed(match args.prefixes.is_empty() {
                true => "You must specify a revision when creating a new ref",
                false => "You must specify only 1 existing ref when creating a new ref",
            }));
        };
        create(&args, cx, &repo, name, target)?;
        return cx.refs_changed(&repo);
    }
    if args.delete {
        args.prefixes.iter().try_for_each(|prefix| delete(&args, cx, &repo, prefix))?;
        return cx.refs_changed(&repo);
    }
    // libostree refuses a repository without this directory, so scripts may count on it.
    repo.dir().open_dir("refs/remotes").context("Listing refs: opendir")?;
    let mut views = Vec::new();
    if args.prefixes.is_empty() {
        views = list(&args, &repo, None)?;
    }
    for prefix in &args.prefixes {
        views.extend(list(&args, &repo, Some(prefix))?);
    }
    if args.json {
        return cx.ui.json(&views);
    }
    views.iter().try_for_each(|view| cx.ui.line(view.text(&args)))
}

fn list(args: &RefsArgs, repo: &Repo, prefix: Option<&str>) -> Result<Vec<RefView>> {
    let mut views = if args.collections {
        collection_refs(repo, prefix)?
            .into_iter()
            .map(|(id, name, commit)| RefView {
                collection_id: Some(id.as_str().to_string()),
                name: name.as_str().to_string(),
                commit: commit.to_hex(),
                alias_of: None,
            })
            .collect()
    } else {
        let options = ListRefs { exclude_remotes: false, aliases_only: args.alias };
        let cut = if args.list || args.alias { None } else { prefix };
        repo.list_refs_with(prefix, options)?
            .into_iter()
            .map(|(spec, target)| RefView {
                collection_id: None,
                name: without_prefix(&spec, cut),
                commit: target.checksum.to_hex(),
                alias_of: target.alias.map(|a| a.trim_start_matches("../").to_string()),
            })
            .collect::<Vec<_>>()
    };
    views.sort();
    Ok(views)
}

/// The ref below `prefix`; where the prefix is the ref itself, the whole name.
fn without_prefix(spec: &Refspec, prefix: Option<&str>) -> String {
    let name = spec.name.as_str();
    let under = prefix.map(|p| p.split_once(':').map_or(p, |(_, under)| under));
    let short = under
        .and_then(|under| name.strip_prefix(under.trim_end_matches('/')))
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(name);
    match &spec.remote {
        Some(remote) => format!("{remote}:{short}"),
        None => short.to_string(),
    }
}

/// Refs by collection: those of this repository, those of remotes that have a collection, then
/// those mirrored here. `prefix` is a collection ID.
fn collection_refs(
    repo: &Repo,
    prefix: Option<&str>,
) -> Result<Vec<(CollectionId, RefName, Checksum)>> {
    let wanted = prefix.map(CollectionId::new).transpose()?;
    let mut found = Vec::new();
    if let Some(own) = &repo.config().collection_id {
        let own = CollectionId::new(own)?;
        let options = ListRefs { exclude_remotes: true, aliases_only: false };
        for (spec, target) in repo.list_refs_with(None, options)? {
            found.push((own.clone(), spec.name, target.checksum));
        }
    }
    let remotes = list_remotes(repo, None)?;
    for (spec, commit) in repo.list_refs(None)? {
        let remote = spec.remote.as_ref().and_then(|name| remotes.get(name.as_str()));
        if let Some(id) = remote.and_then(|remote| remote.option("collection-id")) {
            found.push((CollectionId::new(&id)?, spec.name, commit));
        }
    }
    found.extend(repo.list_mirror_refs()?.into_iter().map(|((id, name), c)| (id, name, c)));
    found.retain(|(id, _, _)| wanted.as_ref().is_none_or(|w| w == id));
    Ok(found)
}

fn create(args: &RefsArgs, cx: &Context, repo: &Repo, name: &str, target: &str) -> Result<()> {
    let options = ListRefs { exclude_remotes: false, aliases_only: true };
    let replaces_alias = args.alias
        && repo.list_refs_with(None, options)?.keys().any(|spec| spec.to_string() == name);
    // Only this very ref counts: one of the same name in a remote is not in the way.
    let exists = match name.parse::<Refspec>() {
        Ok(spec) => repo.resolve_refspec(&spec, false)?.is_some(),
        Err(_) => false,
    };
    if !replaces_alias && !args.force && exists {
        return Err(CliError::failed(format!("--create specified but ref {name} already exists")));
    }
    if args.alias {
        return create_alias(args, cx, repo, name, target);
    }
    let commit = repo.resolve_rev(target)?;
    if args.collections {
        let (id, name) = name.split_once(':').unwrap_or((name, ""));
        let (id, name) = (CollectionId::new(id)?, RefName::new(name)?);
        return match args.dry_run {
            true => cx.ui.line(format_args!("({id}, {name}) would point to {commit}")),
            false => Ok(repo.set_collection_ref(&id, &name, Some(&commit))?),
        };
    }
    let spec: Refspec = name.parse()?;
    match args.dry_run {
        true => cx.ui.line(format_args!("{spec} would point to {commit}")),
        false => Ok(repo.set_ref(&spec, Some(&commit))?),
    }
}

fn create_alias(
    args: &RefsArgs,
    cx: &Context,
    repo: &Repo,
    name: &str,
    target: &str,
) -> Result<()> {
    let spec: Refspec = name.parse()?;
    if let Some(remote) = spec.remote {
        return Err(CliError::failed(format!("Cannot create alias to remote ref: {remote}")));
    }
    let known = target.parse().is_ok_and(|target: Refspec| {
        repo.list_refs(None).is_ok_and(|refs| refs.contains_key(&target))
    });
    if !known {
        return Err(CliError::failed(format!("Cannot create alias to non-existent ref: {target}")));
    }
    if args.dry_run {
        return cx.ui.line(format_args!("{name} would be an alias of {target}"));
    }
    Ok(repo.set_alias(&spec.name, &RefName::new(target)?)?)
}

fn delete(args: &RefsArgs, cx: &Context, repo: &Repo, prefix: &str) -> Result<()> {
    if args.collections {
        for (id, name, _) in collection_refs(repo, Some(prefix))? {
            match args.dry_run {
                true => cx.ui.line(format_args!("({id}, {name}) would be deleted"))?,
                false => repo.set_collection_ref(&id, &name, None)?,
            }
        }
        return Ok(());
    }
    let only_aliases = ListRefs { exclude_remotes: false, aliases_only: true };
    let aliases = repo.list_refs_with(None, only_aliases)?;
    let options = ListRefs { exclude_remotes: false, aliases_only: args.alias };
    for (spec, _) in repo.list_refs_with(Some(prefix), options)? {
        let name = spec.name.as_str();
        let points_here = |alias: &Option<String>| {
            alias.as_deref().is_some_and(|a| a.trim_start_matches("../") == name)
        };
        if let Some((alias, _)) = aliases.iter().find(|(_, target)| points_here(&target.alias)) {
            return Err(CliError::failed(format!("Ref '{name}' has an active alias: '{alias}'")));
        }
        match args.dry_run {
            true => cx.ui.line(format_args!("{spec} would be deleted"))?,
            false => repo.set_ref(&spec, None)?,
        }
    }
    Ok(())
}
