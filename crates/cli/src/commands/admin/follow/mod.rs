//! `admin upgrade --follow`: waits for a host's ref to move, again and again, and deploys what
//! it moved to. What the host is believed is up to the remote that the origin names.

mod apply;
mod host;

pub use apply::ApplyWord;

use std::time::{Duration, Instant};

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::RefName;
use trefoil_serve::{Apply, Report, State};
use trefoil_sysroot::{Deployment, Sysroot, origin};

use super::engine::Engine;
use super::target::Target;
use super::upgrade::UpgradeArgs;
use super::upgrader::{Source, Upgrader};
use crate::environment;
use crate::error::{CliError, Result};
use host::Host;

/// How long the host is asked to hold a question.
const LONG: Duration = Duration::from_secs(60);
/// The wait after a failure, and what it grows to.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a report is sent before a reboot takes us with it, and the time between.
const TELL_TRIES: u32 = 3;
const TELL_WAIT: Duration = Duration::from_millis(200);
/// How long the machine may take to go down.
const GOING_DOWN: Duration = Duration::from_secs(300);
/// Stands for the address in the kernel argument of this name.
const FROM_KERNEL: &str = "kernel-argument";
const KERNEL_ARGUMENT: &str = "trefoil.follow";

/// Options of `admin upgrade` that make it follow a host.
#[derive(Args, Debug)]
pub struct FollowArgs {
    /// Wait for the ref to move on the host at URL ('trefoil dev', 'trefoil serve --follow'), pull
    /// it from there and deploy it, again and again; kernel-argument is for the address in the
    /// kernel argument trefoil.follow. The remote of the origin says what is trusted
    #[arg(long, value_name = "URL")]
    follow: Option<String>,
    /// What to do after each deploy of --follow
    #[arg(long, value_name = "reboot|soft-reboot|none", value_enum, default_value = "none")]
    apply: ApplyWord,
    /// Deploy what --follow finds now, and end
    #[arg(long)]
    once: bool,
}

impl FollowArgs {
    /// Whether a host is to be followed.
    pub fn is_wanted(&self) -> bool {
        self.follow.is_some()
    }

    fn url(&self) -> Result<String> {
        match self.follow.as_deref() {
            Some(FROM_KERNEL) => environment::kernel_argument(KERNEL_ARGUMENT).ok_or_else(|| {
                CliError::failed(format!("The kernel has no argument {KERNEL_ARGUMENT}=URL"))
            }),
            Some("") | None => Err(CliError::failed("Missing argument for --follow")),
            Some(url) => Ok(url.to_string()),
        }
    }
}

/// Runs `admin upgrade --follow`.
pub fn run(args: &UpgradeArgs, target: &Target<'_>) -> Result<()> {
    let url = args.follow.url()?;
    // Before any thread: it may have to leave the mounts of the others.
    target.make_writable()?;
    let mut follower = Follower::start(args, target, url)?;
    match args.follow.once {
        true => follower.once(),
        false => follower.run(),
    }
}

/// One stateroot that follows a host.
struct Follower<'a> {
    args: &'a UpgradeArgs,
    target: &'a Target<'a>,
    apply: Apply,
    url: String,
    host: Host,
    name: RefName,
    machine: String,
    /// Where the ref was when it was last looked at.
    current: Option<Checksum>,
    /// That could not be deployed, and is to be tried again.
    failed: bool,
    /// What the host still has to be told.
    untold: Option<Report>,
}

/// What an upgrade took, as far as it came.
#[derive(Default)]
struct Spent {
    pulled: Option<Duration>,
    deployed: Option<Duration>,
}

impl<'a> Follower<'a> {
    fn start(args: &'a UpgradeArgs, target: &'a Target<'a>, url: String) -> Result<Self> {
        let sysroot = target.open()?;
        args.stages(&sysroot)?;
        let upgrader = Upgrader::new(target, &sysroot, args.os.as_deref())?;
        upgrader.check_configured()?;
        let refspec = upgrader.refspec()?;
        let host = Host::open(target, &refspec, &url)?;
        let next = next_to_boot(&sysroot, &upgrader).checksum;
        let mut follower = Follower {
            args,
            target,
            apply: args.follow.apply.into(),
            url,
            host,
            name: refspec.name,
            machine: environment::host_name(),
            current: Some(next),
            failed: false,
            untold: None,
        };
        if let Some(booted) = sysroot.booted() {
            let booted_ms = environment::uptime_ms();
            let report = follower.report(booted.checksum, State::Booted, &Spent::default());
            let report = Report { booted_ms, ..report };
            follower.say(&report)?;
            follower.untold = Some(report);
        }
        Ok(follower)
    }

    /// Follows until somebody ends the process.
    fn run(&mut self) -> Result<()> {
        let ui = &self.target.cx.ui;
        ui.words(format_args!("following {} at {}", self.name, self.host.address()))?;
        let (mut wait, mut said) = (FIRST_WAIT, String::new());
        loop {
            match self.round(if self.failed { wait } else { LONG }) {
                Ok(()) if !self.failed => {
                    if !said.is_empty() {
                        ui.words("the host answers again")?;
                    }
                    (wait, said) = (FIRST_WAIT, String::new());
                }
                // The next question waits, and is answered at once if the ref moves.
                Ok(()) => wait = (wait * 2).min(LONGEST_WAIT),
                Err(error) => {
                    if said != error.to_string() {
                        said = error.to_string();
                        let hint = error.hint().map(|h| format!("\nhint: {h}"));
                        ui.words(format_args!("{said}; asking again{}", hint.unwrap_or_default()))?;
                    }
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Asks once, and deploys what is new.
    fn once(&mut self) -> Result<()> {
        self.tell_host()?;
        let tip = self.host.position(&self.name, None, Duration::ZERO)?;
        if Some(tip) == self.current {
            return match self.args.report.json {
                true => Ok(()),
                false => self.target.cx.ui.line("No update available."),
            };
        }
        self.take(tip)?;
        // What the host asked for is done all the same.
        match self.tell_host() {
            Ok(()) => Ok(()),
            Err(e) => self.target.cx.ui.words(format_args!("the host was not told: {e}")),
        }
    }

    /// Asks the host where the ref is, and deploys that if it is new. An upgrade that fails is
    /// no error here: it is noted in `failed`.
    ///
    /// # Errors
    /// The host does not answer.
    fn round(&mut self, wait: Duration) -> Result<()> {
        self.tell_host()?;
        let asked = Instant::now();
        let tip = self.host.position(&self.name, self.current.as_ref(), wait)?;
        if Some(tip) == self.current {
            // A host that does not wait must not keep us busy.
            let least = if self.failed { wait } else { FIRST_WAIT };
            std::thread::sleep(least.saturating_sub(asked.elapsed()));
            if !self.failed {
                return Ok(());
            }
        }
        if let Err(error) = self.take(tip) {
            let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            self.target.cx.ui.words(format_args!("error: {error}{hint}"))?;
        }
        Ok(())
    }

    /// Pulls and deploys a commit, tells of it, and has it run.
    fn take(&mut self, tip: Checksum) -> Result<()> {
        let again = self.failed && self.current == Some(tip);
        self.current = Some(tip);
        self.failed = true;
        let mut spent = Spent::default();
        let taken = self.upgrade(tip, &mut spent);
        let (commit, taken) = match taken {
            Ok((commit, booted)) => (commit, Ok(booted)),
            Err(e) => (tip, Err(e)),
        };
        let running = match taken {
            Ok(running) => running,
            Err(error) => {
                let report = self.report(tip, State::Failed, &spent);
                // Once is enough: the host sees that nothing else comes.
                if !again {
                    self.give(Report { error: Some(error.to_string()), ..report })?;
                }
                return Err(error);
            }
        };
        self.failed = false;
        let report = self.report(commit, State::Deployed, &spent);
        self.give(report.clone())?;
        if self.apply == Apply::None {
            return Ok(());
        }
        if !running {
            return self.target.cx.ui.words("this sysroot does not run: nothing is rebooted");
        }
        self.go_down(report)
    }

    /// Pulls and deploys; gives the commit, and whether the sysroot is that of this machine.
    fn upgrade(&self, tip: Checksum, spent: &mut Spent) -> Result<(Checksum, bool)> {
        let begun = Instant::now();
        let (mut sysroot, lock) = self.target.open_locked()?;
        let mut upgrader = Upgrader::new(self.target, &sysroot, self.args.os.as_deref())?;
        upgrader.check_configured()?;
        origin::remove_transient_state(&mut upgrader.origin);
        upgrader.source = Some(Source { url: self.url.clone(), name: self.name.clone(), tip });
        let commit = upgrader.pull(false, self.args.allow_downgrade)?;
        let pulled = begun.elapsed();
        spent.pulled = Some(pulled);
        if commit != next_to_boot(&sysroot, &upgrader).checksum {
            let (engine, report) = (self.args.engine, self.args.report);
            let engine = Engine { target: self.target, engine, report };
            let mut options = upgrader.deploy_options(&commit);
            options.stage = self.args.stages(&sysroot)?;
            let done = engine.carry_out(&mut sysroot, &lock, &options)?;
            spent.deployed = Some(begun.elapsed() - pulled);
            match self.args.report.json {
                true => engine.say_method(done.report.method, &done.report.reason)?,
                false => engine.tell(done)?,
            }
        }
        let running = sysroot.booted().is_some();
        spent.deployed.get_or_insert(begun.elapsed() - pulled);
        Ok((commit, running))
    }

    fn go_down(&mut self, deployed: Report) -> Result<()> {
        for _ in 1..TELL_TRIES {
            if self.untold.is_none() {
                break;
            }
            std::thread::sleep(TELL_WAIT);
            // Nobody is left to be told that the host was not.
            let _ = self.tell_host();
        }
        if let Err(error) = apply::apply(self.apply) {
            let text = format!("{} did not work: {error}", self.apply.word());
            self.give(Report { state: State::Failed, error: Some(text), ..deployed })?;
            return Err(error);
        }
        if !self.args.follow.once {
            std::thread::sleep(GOING_DOWN);
        }
        Ok(())
    }

    /// Prints a report and sends it. The host may be away: it is told when it is back.
    fn give(&mut self, report: Report) -> Result<()> {
        self.say(&report)?;
        self.untold = Some(report);
        let _ = self.tell_host();
        Ok(())
    }

    fn tell_host(&mut self) -> Result<()> {
        if let Some(report) = &self.untold {
            if !self.host.tell(report)? {
                self.target.cx.ui.debug("the host does not listen to reports")?;
            }
            self.untold = None;
        }
        Ok(())
    }

    fn say(&self, report: &Report) -> Result<()> {
        let ui = &self.target.cx.ui;
        match (self.args.report.json, report.state) {
            (true, _) => ui.json_line(report),
            (false, State::Deployed) => {
                let ms = |time: Option<u64>| time.unwrap_or_default();
                let (pulled, deployed) = (ms(report.pulled_ms), ms(report.deployed_ms));
                let commit = &report.commit;
                ui.line(format_args!("{commit} pulled in {pulled} ms, deployed in {deployed} ms"))?;
                ui.flush()
            }
            // Said when it started, or as an error.
            (false, State::Booted | State::Failed) => Ok(()),
        }
    }

    fn report(&self, commit: Checksum, state: State, spent: &Spent) -> Report {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Report {
            name: self.name.to_string(),
            commit: commit.to_hex(),
            machine: self.machine.clone(),
            state,
            apply: self.apply,
            pulled_ms: spent.pulled.map(ms),
            deployed_ms: spent.deployed.map(ms),
            booted_ms: None,
            error: None,
        }
    }
}

/// What boots next, by the upgrades there were so far.
fn next_to_boot<'s>(sysroot: &'s Sysroot, upgrader: &'s Upgrader<'_>) -> &'s Deployment {
    sysroot.pending_and_rollback(&upgrader.stateroot).0.unwrap_or(&upgrader.merge)
}
