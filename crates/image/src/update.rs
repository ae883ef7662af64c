use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::RemoteName;
use trefoil_repo::Repo;
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_sysroot::deploy::{DeployOptions, DeployPlan, DeployReport, KargOptions};
use trefoil_sysroot::spare::SpareBuilder;
use trefoil_sysroot::{Account, Phase, Sysroot, SysrootLock, origin};

use crate::attach::Access;
use crate::create::refspec;
use crate::error::During;
use crate::missing::{Missing, count};
use crate::session::{LOCK_WAIT, Session, stateroot};
use crate::snapshot::{Snapshot, take};
use crate::{Place, Result, Surroundings};

/// Which commit, and how to bring an image to it.
#[derive(Debug)]
pub struct UpdateRequest<'a> {
    /// The repository with the commit.
    pub source: &'a Repo,
    /// A ref or checksum in it.
    pub rev: String,
    /// The ref gets this remote before it, in the image and in the origin of the deployment.
    pub remote: Option<RemoteName>,
    /// The stateroot; `None` for that of the deployment that boots next.
    pub os: Option<String>,
    /// Changes to the kernel arguments.
    pub kargs: KargOptions,
    /// Maker of the tree.
    pub builder: SpareBuilder,
    /// Recycle the rollback deployment, for small disks.
    pub two_buffers: bool,
    /// Keep the image as it is now beside it.
    pub snapshot: bool,
}

/// What an update did.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateReport {
    /// The commit the image is at now.
    pub commit: String,
    /// False where it was there before, and nothing was deployed.
    pub changed: bool,
    /// Objects that came over, of both kinds.
    pub objects_pulled: u64,
    /// The deploy.
    pub deploy: Option<DeployReport>,
    /// Deployments that were given up ahead of it, with `two_buffers`.
    pub given_up: Vec<String>,
    /// What was kept of the state before.
    pub snapshot: Option<Snapshot>,
    /// Bytes that were written to the disk in the image.
    pub bytes_written: u64,
    /// What each phase took.
    pub phases: Vec<Phase>,
}

/// What an update would do.
#[derive(Debug, Serialize)]
pub struct UpdatePlan {
    /// The commit.
    pub commit: String,
    /// False where the image is at it already, and nothing would be deployed.
    pub changes: bool,
    /// What would be pulled.
    pub pull: Missing,
    /// The deploy that would follow; paths in it are those in the image.
    pub deploy: Option<DeployPlan>,
}

/// Brings the image at `place` to a commit, in place. What the image boots changes in one step,
/// as on a running machine: whatever ends the run before leaves the old system to boot.
///
/// # Errors
/// The image is in use; no such commit; everything that a deploy can meet.
pub fn update(
    around: &Surroundings,
    place: &Place,
    request: &UpdateRequest<'_>,
    clock: &dyn Fn() -> Duration,
) -> Result<UpdateReport> {
    let mut account = Account::new(&around.fs, clock);
    let commit = request.source.resolve_rev(&request.rev)?;
    let snapshot = match request.snapshot {
        true => Some(take(around, place)?),
        false => None,
    };
    if request.snapshot {
        account.end("snapshot");
    }
    let session = Session::open(around, place, Access::ReadWrite)?;
    account.end("attach");
    let mut report = UpdateReport {
        commit: commit.to_hex(),
        changed: false,
        objects_pulled: 0,
        deploy: None,
        given_up: Vec::new(),
        snapshot,
        bytes_written: 0,
        phases: Vec::new(),
    };
    deploy(&session, request, commit, &mut account, &mut report)?;
    report.bytes_written = session.close()?;
    account.end("detach");
    report.phases = account.finish();
    Ok(report)
}

/// All work inside the image; nothing of it stays open after it.
fn deploy(
    session: &Session,
    request: &UpdateRequest<'_>,
    commit: Checksum,
    account: &mut Account<'_>,
    report: &mut UpdateReport,
) -> Result<()> {
    let mut sysroot = session.sysroot()?;
    let lock = sysroot.lock(LOCK_WAIT)?;
    let os = stateroot(&sysroot, request.os.as_deref())?;
    account.end("open");
    report.objects_pulled = pull(sysroot.repo(), request)?;
    account.end("pull");
    let follows = refspec(&request.rev, request.remote.as_ref());
    if is_default(&sysroot, &os, &commit, &follows) && no_kargs(&request.kargs) {
        return Ok(());
    }
    let options = options(request, os, &commit, &follows);
    let plan = sysroot.plan_deploy(&options, &request.builder)?;
    let plan = give_up(&mut sysroot, &lock, request, &options, plan, report)?;
    account.end("plan");
    report.deploy = Some(sysroot.apply_deploy(&lock, plan, &request.builder, account)?);
    report.changed = true;
    Ok(())
}

fn pull(repo: &Repo, request: &UpdateRequest<'_>) -> Result<u64> {
    let options = PullOptions {
        refs: vec![PullRef::from(request.rev.as_str())],
        remote: request.remote.clone(),
        ..PullOptions::default()
    };
    let stats = pull_local(repo, request.source, &options)
        .during(|| format!("pulling {} from {}", request.rev, request.source.path().display()))?;
    Ok(stats.metadata_imported + stats.content_imported)
}

/// Whether the commit boots next already, and follows the same ref.
fn is_default(sysroot: &Sysroot, os: &str, commit: &Checksum, follows: &str) -> bool {
    sysroot.deployments().first().is_some_and(|first| {
        first.stateroot == os
            && first.checksum == *commit
            && first.refspec().as_deref() == Some(follows)
    })
}

fn no_kargs(kargs: &KargOptions) -> bool {
    *kargs == KargOptions::default()
}

fn options(
    request: &UpdateRequest<'_>,
    os: String,
    commit: &Checksum,
    follows: &str,
) -> DeployOptions {
    DeployOptions {
        stateroot: Some(os),
        origin: Some(origin::from_refspec(follows)),
        kargs: request.kargs.clone(),
        ..DeployOptions::new(&commit.to_hex())
    }
}

/// With two buffers, retires the rollback first and plans again.
fn give_up(
    sysroot: &mut Sysroot,
    lock: &SysrootLock,
    request: &UpdateRequest<'_>,
    options: &DeployOptions,
    plan: DeployPlan,
    report: &mut UpdateReport,
) -> Result<DeployPlan> {
    if !request.two_buffers {
        return Ok(plan);
    }
    report.given_up = sysroot.retire_ahead(lock, &plan, &request.builder)?;
    match report.given_up.is_empty() {
        true => Ok(plan),
        false => Ok(sysroot.plan_deploy(options, &request.builder)?),
    }
}

/// Tells what an update would do, the merge of `/etc` included. The image is attached read-only
/// and stays as it is, but for the journal of a machine that was cut off. With
/// [`UpdateRequest::two_buffers`] the plan is that before the rollback deployment is given up.
///
/// # Errors
/// As [`update`], as far as can be told beforehand; but an `/etc` that cannot be merged is told
/// by the plan.
pub fn plan_update(
    around: &Surroundings,
    place: &Place,
    request: &UpdateRequest<'_>,
) -> Result<UpdatePlan> {
    let commit = request.source.resolve_rev(&request.rev)?;
    let session = Session::open(around, place, Access::ReadOnly)?;
    let plan = plan_inside(&session, request, commit)?;
    session.close()?;
    Ok(plan)
}

fn plan_inside(
    session: &Session,
    request: &UpdateRequest<'_>,
    commit: Checksum,
) -> Result<UpdatePlan> {
    let sysroot = session.sysroot()?;
    let os = stateroot(&sysroot, request.os.as_deref())?;
    let follows = refspec(&request.rev, request.remote.as_ref());
    let changes = !is_default(&sysroot, &os, &commit, &follows) || !no_kargs(&request.kargs);
    let pull = count(request.source, sysroot.repo(), &commit)?;
    let mut plan = UpdatePlan { commit: commit.to_hex(), changes, pull, deploy: None };
    if changes {
        let options = DeployOptions { estimate: true, ..options(request, os, &commit, &follows) };
        let preview = sysroot.preview(request.source, pull.disk_bytes)?;
        let mut deploy = preview.plan_deploy(&options, &request.builder)?;
        let root = session.root();
        for need in &mut deploy.space {
            if let Ok(inside) = Path::new(&need.path).strip_prefix(&root) {
                need.path = Path::new("/").join(inside).display().to_string();
            }
        }
        plan.deploy = Some(deploy);
    }
    Ok(plan)
}
