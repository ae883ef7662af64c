//! `create-usb`: copies refs to a repository on a USB stick, where `find-remotes` finds them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_fsat::Dir;
use trefoil_repo::finder::{USUAL_REPO, publish_repo, would_publish};
use trefoil_repo::pull::{self, PullOptions, PullRef};
use trefoil_repo::remote::list_remotes;
use trefoil_repo::summary::update_summary;
use trefoil_repo::{CollectionRef, Repo, RepoError, RepoMode};

use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::plans::PullView;
use crate::{dates, plans};

/// Arguments of `create-usb`.
#[derive(Args, Debug)]
pub struct CreateUsbArgs {
    /// Where the stick is mounted, then what to copy
    #[arg(value_name = "MOUNT-PATH COLLECTION-ID REF [COLLECTION-ID REF...]")]
    arguments: Vec<String>,
    /// Do not invoke fsync()
    #[arg(long)]
    disable_fsync: bool,
    /// Use custom repository directory within the mount
    #[arg(long, value_name = "DEST")]
    destination_repo: Option<String>,
    /// Pull a specific commit (only works when a single ref is specified)
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Print what was copied as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct CopyView {
    repo: PathBuf,
    link: Option<String>,
    refs: Vec<CopiedRef>,
}

#[derive(Debug, Serialize)]
struct CopiedRef {
    collection: Option<String>,
    name: String,
    commit: Option<String>,
}

impl From<&PullRef> for CopiedRef {
    fn from(copied: &PullRef) -> Self {
        CopiedRef {
            collection: copied.collection.as_ref().map(ToString::to_string),
            name: copied.name.clone(),
            commit: copied.commit.map(|commit| commit.to_hex()),
        }
    }
}

/// Runs `create-usb`.
pub fn run(args: CreateUsbArgs, cx: &Context) -> Result<()> {
    let [mount, pairs @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("A MOUNT-PATH must be specified"));
    };
    let wanted = collection_refs(pairs)?;
    if args.commit.is_some() && pairs.len() > 2 {
        let what = "The --commit option can only be used when a single COLLECTION-ID REF pair is \
                    specified";
        return Err(CliError::usage(what));
    }
    let commit: Option<Checksum> = args.commit.as_deref().map(str::parse).transpose()?;
    let place = Place::open(cx, None)?;
    let volume = cx.fs.open_dir(mount)?;
    let refs = resolve(&place, &wanted, commit)?;
    let dest = args.destination_repo.as_deref().unwrap_or(USUAL_REPO);
    let options = PullOptions { refs, mirror: true, ..PullOptions::default() };
    if args.dry_run {
        return plan(&args, cx, &place.repo, &options, (&volume, dest));
    }
    let mut repo = open_destination(cx, &place.repo, &volume, dest)?;
    if args.disable_fsync {
        repo.set_fsync(false);
    }
    let progress = cx.progress("create-usb");
    pull::pull_local(&repo, &place.repo, &options)?;
    update_summary(&repo, dates::now(), &Metadata::default(), None)
        .context("updating the summary")?;
    let link = publish_repo(&volume, dest, &repo)?;
    drop(progress);
    if args.json {
        let refs = options.refs.iter().map(CopiedRef::from).collect();
        return cx.ui.json(&CopyView { repo: Path::new(mount).join(dest), link, refs });
    }
    let source = std::path::absolute(place.repo.path())?;
    let count = wanted.len();
    cx.ui.line(format_args!(
        "Copied {count}/{count} refs successfully from ‘{}’ to ‘{dest}’ repository in ‘{mount}’.",
        source.display()
    ))
}

/// What would be copied, for `--json`.
#[derive(Debug, Serialize)]
struct PlanView {
    dry_run: bool,
    repo: PathBuf,
    /// Whether there is no repository yet.
    made: bool,
    /// Whether a link would be made, so that the repository is found.
    link: bool,
    refs: Vec<CopiedRef>,
    /// Not known where there is no repository yet.
    copy: Option<PullView>,
}

/// Says what would be copied to the repository at `dest` of `volume`. Where there is none yet,
/// everything is.
fn plan(
    args: &CreateUsbArgs,
    cx: &Context,
    source: &Repo,
    options: &PullOptions,
    (volume, dest): (&Dir, &str),
) -> Result<()> {
    let found = match find_destination(source, volume, dest)? {
        Some(dir) if !Repo::would_create(&dir)? => Some(Repo::open(dir)?),
        _ => None,
    };
    let copy = found.map(|repo| pull::plan_pull_local(&repo, source, options)).transpose()?;
    let link = would_publish(volume, dest)?;
    if args.json {
        let repo = Path::new(&args.arguments[0]).join(dest);
        let (made, refs) = (copy.is_none(), options.refs.iter().map(CopiedRef::from).collect());
        let copy = copy.as_ref().map(PullView::from);
        return cx.ui.json(&PlanView { dry_run: true, repo, made, link, refs, copy });
    }
    match &copy {
        Some(copy) => plans::pull(cx, copy)?,
        None => {
            cx.ui.line(format_args!("repository {dest} would be made in mode archive"))?;
            for PullRef { name, collection, commit } in &options.refs {
                if let (Some(id), Some(commit)) = (collection, commit) {
                    cx.ui.line(format_args!("({id}, {name}) would point to {commit}"))?;
                }
            }
        }
    }
    if link {
        cx.ui.line(format_args!("a link to {dest} would be made"))?;
    }
    cx.ui.line("the summary would be written")
}

/// `COLLECTION-ID REF` pairs.
pub fn collection_refs(pairs: &[String]) -> Result<BTreeSet<CollectionRef>> {
    if pairs.len() < 2 {
        return Err(CliError::usage("At least one COLLECTION-ID REF pair must be specified"));
    }
    if !pairs.len().is_multiple_of(2) {
        return Err(CliError::usage("Only complete COLLECTION-ID REF pairs may be specified"));
    }
    let refs = pairs.chunks_exact(2).map(|pair| Ok(CollectionRef::new(&pair[0], &pair[1])?));
    refs.collect()
}

/// The commits to copy, found before anything is written.
fn resolve(
    place: &Place,
    wanted: &BTreeSet<CollectionRef>,
    commit: Option<Checksum>,
) -> Result<Vec<PullRef>> {
    let remotes = list_remotes(&place.repo, place.remotes_d.as_ref())?;
    let mut refs = Vec::new();
    for key in wanted {
        let commit = match commit {
            Some(commit) => commit,
            None => place
                .repo
                .resolve_collection_ref(&remotes, key)?
                .ok_or_else(|| RepoError::Refused(format!("Collection–ref {key} not found")))?,
        };
        refs.push(PullRef {
            name: key.name.to_string(),
            collection: Some(key.collection.clone()),
            commit: Some(commit),
        });
    }
    Ok(refs)
}

/// The repository on the volume, made where there is none: an archive, which needs of a file
/// system nothing that FAT lacks.
fn open_destination(cx: &Context, source: &Repo, volume: &Dir, path: &str) -> Result<Repo> {
    let dir = match find_destination(source, volume, path)? {
        Some(dir) => dir,
        None => {
            volume.ensure_dirs(path, 0o755)?;
            let made = find_destination(source, volume, path)?;
            made.ok_or_else(|| CliError::failed(format!("{path} is gone")))?
        }
    };
    Repo::create(dir.try_clone()?, RepoMode::Archive, None).context("Creating repo")?;
    cx.open_repo_in(dir)
}

/// The directory of the repository on the volume, if it is there.
fn find_destination(source: &Repo, volume: &Dir, path: &str) -> Result<Option<Dir>> {
    let outside = || CliError::usage("--destination-repo must be a descendent of MOUNT-PATH");
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.is_empty() || !Path::new(path).components().all(plain) {
        return Err(outside());
    }
    let dir = match volume.open_dir_following(path) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    if dir.stat_self()?.dev != volume.stat_self()?.dev {
        return Err(outside());
    }
    if dir.stat_self()?.identity() == source.dir().stat_self()?.identity() {
        return Err(CliError::usage("--destination-repo must not be the source repository"));
    }
    Ok(Some(dir))
}
