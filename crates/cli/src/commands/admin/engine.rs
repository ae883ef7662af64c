//! Deploying, shared by all verbs that do it.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use trefoil_sysroot::deploy::{DeployOptions, DeployPlan, DeployReport, TreeMethod};
use trefoil_sysroot::spare::{SpareBuilder, Trust};
use trefoil_sysroot::{Account, Phase, Sysroot, SysrootLock};

use super::target::Target;
use super::{finalizer, timings};
use crate::environment;
use crate::error::{CliError, Result};

/// How trees are made.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct EngineArgs {
    /// Check the spare by metadata (stat, the default), by every byte (full), or not (none)
    #[arg(long, value_name = "stat|full|none", value_enum)]
    trust: Option<TrustWord>,
    /// Check out the whole tree and keep no spare, as libostree does
    #[arg(long)]
    no_recycle: bool,
}

/// The words of `--trust`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TrustWord {
    Stat,
    Full,
    None,
}

impl From<TrustWord> for Trust {
    fn from(word: TrustWord) -> Trust {
        match word {
            TrustWord::Stat => Trust::Stat,
            TrustWord::Full => Trust::Full,
            TrustWord::None => Trust::None,
        }
    }
}

impl EngineArgs {
    /// The maker of trees that these options ask for.
    pub fn builder(self) -> SpareBuilder {
        SpareBuilder::new(self.trust.map(Trust::from).unwrap_or_default(), !self.no_recycle)
    }
}

/// How a deploy is done and what is told of it.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ReportArgs {
    /// Recycle the rollback deployment, for small disks: its boot entry goes first
    #[arg(long)]
    two_buffers: bool,
    /// Print plan, outcome and the cost of each phase as JSON
    #[arg(long)]
    pub json: bool,
    /// Print a table of what each phase took
    #[arg(long)]
    timings: bool,
}

/// The account of one deploy for programs.
#[derive(Serialize)]
struct View {
    dry_run: bool,
    plan: serde_json::Value,
    report: Option<DeployReport>,
    phases: Vec<Phase>,
}

/// A deploy that was carried out, to be told of.
pub struct Done {
    /// What came of it.
    pub report: DeployReport,
    phases: Vec<Phase>,
    plan: Option<serde_json::Value>,
}

/// One deploy: what to do it with, and how to tell of it.
pub struct Engine<'a> {
    /// The sysroot.
    pub target: &'a Target<'a>,
    /// How trees are made.
    pub engine: EngineArgs,
    /// What is told.
    pub report: ReportArgs,
}

impl Engine<'_> {
    /// Plans and carries out a deploy, and tells of it.
    pub fn deploy(
        &self,
        sysroot: &mut Sysroot,
        lock: &SysrootLock,
        options: &DeployOptions,
    ) -> Result<()> {
        let done = self.carry_out(sysroot, lock, options)?;
        self.tell(done)
    }

    /// Plans and carries out a deploy. Only what people have to know is said.
    pub fn carry_out(
        &self,
        sysroot: &mut Sysroot,
        lock: &SysrootLock,
        options: &DeployOptions,
    ) -> Result<Done> {
        let clock = clock();
        let mut account = Account::new(&self.target.cx.fs, &clock);
        let builder = self.engine.builder();
        let progress = self.target.cx.progress("deploy");
        let mut plan = sysroot.plan_deploy(options, &builder)?;
        account.end("plan");
        if self.report.two_buffers && self.retire_ahead(sysroot, lock, &plan, &builder)? {
            plan = sysroot.plan_deploy(options, &builder)?;
            account.end("two-buffers");
        }
        die_before_commit(sysroot)?;
        if options.stage {
            finalizer::start(self.target.cx)?;
        }
        self.say_plan(&plan, options.stage)?;
        let plan_json = self.plan_json(&plan)?;
        let report = sysroot.apply_deploy(lock, plan, &builder, &mut account)?;
        drop(progress);
        Ok(Done { report, phases: account.finish(), plan: plan_json })
    }

    /// Tells of a deploy, as the options ask.
    pub fn tell(&self, done: Done) -> Result<()> {
        let ui = &self.target.cx.ui;
        let Done { report, phases, plan } = done;
        if !self.report.json {
            self.target.announce(report.message.clone())?;
            self.say_method(report.method, &report.reason)?;
            if self.report.timings {
                ui.text(timings::table(&phases))?;
            }
        }
        self.target.say_freed(report.pruned)?;
        match plan {
            Some(plan) => ui.json(&View { dry_run: false, plan, report: Some(report), phases }),
            None => Ok(()),
        }
    }

    /// Gives up what the plan retires, to be recycled. True where that changed the list.
    fn retire_ahead(
        &self,
        sysroot: &mut Sysroot,
        lock: &SysrootLock,
        plan: &DeployPlan,
        builder: &SpareBuilder,
    ) -> Result<bool> {
        let gone = sysroot.retire_ahead(lock, plan, builder)?;
        for name in &gone {
            let ui = &self.target.cx.ui;
            ui.words(format_args!("taken off the list to be recycled: {name}"))?;
        }
        Ok(!gone.is_empty())
    }

    /// Prints what a deploy would do. Changes nothing.
    pub fn dry_run(&self, sysroot: &Sysroot, options: &DeployOptions) -> Result<()> {
        let ui = &self.target.cx.ui;
        let clock = clock();
        let mut account = Account::new(&self.target.cx.fs, &clock);
        let options = DeployOptions { estimate: true, ..options.clone() };
        let plan = sysroot.plan_deploy(&options, &self.engine.builder())?;
        account.end("plan");
        if self.report.two_buffers {
            for name in &plan.retired {
                ui.words(format_args!("would be taken off the list to be recycled: {name}"))?;
            }
        }
        let phases = account.finish();
        match self.plan_json(&plan)? {
            Some(json) => ui.json(&View { dry_run: true, plan: json, report: None, phases })?,
            None => {
                ui.text(&plan)?;
                if self.report.timings {
                    ui.text(timings::table(&phases))?;
                }
            }
        }
        // What cannot be done is no plan, whoever reads it.
        match &plan.etc {
            Some(etc) => Ok(etc.check().map_err(trefoil_sysroot::SysrootError::from)?),
            None => Ok(()),
        }
    }

    fn plan_json(&self, plan: &DeployPlan) -> Result<Option<serde_json::Value>> {
        Ok(self.report.json.then(|| serde_json::to_value(plan)).transpose()?)
    }

    /// What libostree says of the merge, and every path where it had to choose.
    fn say_plan(&self, plan: &DeployPlan, staged: bool) -> Result<()> {
        let ui = &self.target.cx.ui;
        let Some(etc) = &plan.etc else { return Ok(()) };
        if plan.merge.is_some() && !self.report.json && !staged {
            ui.line(format_args!(
                "Copying /etc changes: {} modified, {} removed, {} added",
                etc.modified, etc.removed, etc.added
            ))?;
        }
        for conflict in &etc.conflicts {
            ui.words(format_args!("warning: /etc/{conflict}"))?;
        }
        for skipped in &etc.skipped {
            ui.words(format_args!("warning: /etc/{skipped}"))?;
        }
        Ok(())
    }

    /// A full checkout is slow: people want to know why.
    pub fn say_method(&self, method: TreeMethod, reason: &str) -> Result<()> {
        let ui = &self.target.cx.ui;
        match method {
            TreeMethod::Full => ui.words(format_args!("full checkout: {reason}")),
            TreeMethod::Recycle => ui.words(format_args!("recycled: {reason}")),
        }
    }
}

/// The test suite of libostree wants to see a deploy die in the transaction that libostree
/// makes for deployment refs, and what it leaves behind removed by a later one. We make none
/// for them, so a test has to be given the leftover.
fn die_before_commit(sysroot: &Sysroot) -> Result<()> {
    if !environment::has_flag("OSTREE_REPO_TEST_ERROR", "pre-commit") {
        return Ok(());
    }
    let boot_id = environment::boot_id().unwrap_or_default();
    sysroot.repo().dir().ensure_dirs(format!("tmp/staging-{boot_id}-t00000"), 0o700)?;
    Err(CliError::failed("OSTREE_REPO_TEST_ERROR_PRE_COMMIT specified"))
}

/// The time since now.
pub fn clock() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}
