//! One scenario on one file system: recorded once, cut off many times.

use std::fs;
use std::path::{Path, PathBuf};

use super::cut::{self, Cut, make_cut};
use super::disk::{self, Mounted};
use super::lab::{Lab, Machine, Program};
use super::layout::Layout;
use super::log::Log;
use super::random::Random;
use super::record::Recording;
use super::scenario::Scenario;
use super::state::State;
use super::subset::{Piece, choose};
use crate::Result;

/// The loss of a machine that is whole and where it was before.
pub const UNDONE: &str = "the verb had returned, and its work is not there";

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Effort {
    /// What chance starts from.
    pub seed: u64,
    /// Subsets of writes after each flush.
    pub subsets: u64,
    /// Most flushes that are tried, of each scenario.
    pub limit: usize,
    /// Where the disks of losses are left.
    pub keep: Option<PathBuf>,
}

/// What came of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Disks as they were at a flush.
    pub boundaries: u64,
    /// Disks with a subset of the writes after it.
    pub subsets: u64,
    /// Runs of the verb on such disks in another machine, where that is not all of them.
    pub next_runs: u64,
    /// What was lost, and where.
    pub losses: Vec<String>,
}

impl Outcome {
    /// Counts a try: number 0 is the flush itself.
    pub fn count(&mut self, number: u64) {
        match number {
            0 => self.boundaries += 1,
            _ => self.subsets += 1,
        }
    }

    /// Losses after which all was whole, and only as if the verb had not been run.
    pub fn undone(&self) -> usize {
        self.losses.iter().filter(|loss| loss.ends_with(UNDONE)).count()
    }
}

/// What is to be tried, and where.
#[derive(Debug)]
pub struct Rig<'a> {
    /// The surroundings.
    pub lab: &'a Lab,
    /// The file systems.
    pub layout: Layout,
    /// Which program.
    pub program: Program,
    /// A folder of its own.
    pub dir: &'a Path,
    /// How much is tried.
    pub effort: &'a Effort,
}

/// What was recorded of one run.
struct Recorded {
    log: Log,
    /// Entries before the run, and before its end.
    start: usize,
    returned: usize,
    old: State,
    new: State,
}

impl Rig<'_> {
    /// Makes the disk that all scenarios begin with.
    pub fn make_base(&self) -> Result<()> {
        let base = self.base();
        let made = if self.layout == Layout::Image {
            let (root, edit) = (self.dir.join("live"), |edit| self.mounted(&base, edit));
            let machine = self.lab.machine(self.program, &base, &root, self.dir);
            super::scenario::make_image(&machine, edit)
        } else {
            disk::make(&base, self.layout)?;
            self.mounted(&base, super::scenario::make_base)
        };
        made.and_then(|()| self.mounted(&base, |machine| machine.state().map(drop)))
            .map_err(|e| format!("making the base system: {e}").into())
    }

    /// Has something done on the mounted disk.
    pub fn mounted<T>(
        &self,
        disk: &Path,
        act: impl FnOnce(&Machine<'_>) -> Result<T>,
    ) -> Result<T> {
        disk::wait_until_free(disk)?;
        let mounted = Mounted::mount(disk, self.layout, &self.dir.join("live"))?;
        let machine = self.lab.machine(self.program, disk, mounted.root(), self.dir);
        let done = act(&machine);
        let unmounted = mounted.unmount();
        let done = done?;
        unmounted?;
        Ok(done)
    }

    /// Where it is.
    pub fn base(&self) -> PathBuf {
        self.dir.join(format!("base-{}", self.program.name()))
    }

    /// Records a run and cuts it off wherever it was told to. With `syncs` off the program
    /// believes that it syncs and does not, and the first loss is enough.
    pub fn run(&self, scenario: Scenario, syncs: bool) -> Result<Outcome> {
        let recorded = self.record(scenario, syncs)?;
        let run = recorded.start..recorded.log.entries.len();
        let mut cuts = cut::cuts(&recorded.log, run, recorded.returned, scenario.is_durable());
        let mut random = self.random(scenario, &[]);
        if syncs {
            cut::limit(&mut cuts, self.effort.limit, &mut random);
        } else {
            // Before it returned nothing was promised.
            cuts.retain(|cut| cut.returned);
        }
        let mut outcome = Outcome::default();
        let now = self.dir.join("now");
        let disk = disk::copy(&self.base(), &now)?;
        let mut done = 0;
        for cut in &cuts {
            recorded.log.replay(&disk, done..cut.done)?;
            done = cut.done;
            self.try_cut(scenario, &recorded, cut, &now, &mut outcome)?;
            if !syncs && !outcome.losses.is_empty() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Chance for one scenario.
    pub fn random(&self, scenario: Scenario, parts: &[u64]) -> Random {
        let words = [self.layout.name(), self.program.name(), &scenario.name()];
        Random::of_words(self.effort.seed, &words, parts)
    }

    fn record(&self, scenario: Scenario, syncs: bool) -> Result<Recorded> {
        let recorded = match scenario.is_of_image() {
            true => self.record_image(scenario),
            false => self.record_mounted(scenario, syncs),
        }?;
        if scenario.is_durable() && recorded.old == recorded.new {
            return Err(format!("{} changed nothing", scenario.name()).into());
        }
        Ok(recorded)
    }

    /// The log goes from the first look at the image until it is unmounted.
    fn record_image(&self, scenario: Scenario) -> Result<Recorded> {
        let state = |disk: &Path| self.mounted(disk, |machine| machine.state());
        let old = state(&self.base())?;
        let (image, root) = (self.dir.join("image"), self.dir.join("live"));
        disk::copy(&self.base(), &image)?;
        let mut recording = Recording::start(&image, self.dir)?;
        let disk = recording.disk().to_path_buf();
        let machine = self.lab.machine(self.program, &disk, &root, self.dir);
        let done = scenario.run(&machine);
        let returned = recording.now()?;
        disk::wait_until_free(&disk)?;
        done.map_err(|e| format!("{} before any power cut: {e}", scenario.name()))?;
        let log = recording.finish()?;
        self.check_log(&log, &image)?;
        Ok(Recorded { log, start: 0, returned, old, new: state(&image)? })
    }

    fn record_mounted(&self, scenario: Scenario, syncs: bool) -> Result<Recorded> {
        let image = self.dir.join("image");
        disk::copy(&self.base(), &image)?;
        let mut recording = Recording::start(&image, self.dir)?;
        let live = self.dir.join("live");
        let disk = recording.disk().to_path_buf();
        let mounted = Mounted::mount(&disk, self.layout, &live)?;
        let mut machine = self.lab.machine(self.program, &disk, mounted.root(), self.dir);
        let what = |step: &str, e| format!("{} before any power cut: {step}: {e}", scenario.name());
        scenario.prepare(&machine).map_err(|e| what("preparing", e))?;
        mounted.sync()?;
        let start = recording.position()?;
        let old = machine.state().map_err(|e| what("the state before", e))?;
        machine.syncs = syncs;
        scenario.run(&machine).map_err(|e| what("running", e))?;
        let returned = recording.now()?;
        let new = machine.state().map_err(|e| what("the state after", e))?;
        mounted.sync()?;
        mounted.unmount()?;
        let log = recording.finish()?;
        self.check_log(&log, &image)?;
        Ok(Recorded { log, start, returned, old, new })
    }

    /// The log is whole: done again from the beginning, it makes the disk that was recorded.
    pub fn check_log(&self, log: &Log, image: &Path) -> Result<()> {
        let again = self.dir.join("again");
        log.replay(&disk::copy(&self.base(), &again)?, 0..log.entries.len())?;
        super::tool::run("cmp", [image, &again])
            .map_err(|e| format!("the log is not whole: {e}"))?;
        Ok(fs::remove_file(&again)?)
    }

    fn try_cut(
        &self,
        scenario: Scenario,
        recorded: &Recorded,
        cut: &Cut,
        now: &Path,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let image = self.dir.join("cut");
        for number in 0..=self.count(cut) {
            let pieces = self.pieces(scenario, cut, number);
            make_cut(&recorded.log, cut, &pieces, now, &image)?;
            outcome.count(number);
            if let Err(error) = self.judge(scenario, recorded, cut, &image) {
                let name = self.name_of(scenario, cut, number);
                self.lose(outcome, &name, &error.to_string(), |to| {
                    make_cut(&recorded.log, cut, &pieces, now, to).map(drop)
                })?;
            }
        }
        Ok(())
    }

    /// How many subsets of what came after a flush are tried.
    pub fn count(&self, cut: &Cut) -> u64 {
        if cut.writes.is_empty() { 0 } else { self.effort.subsets }
    }

    /// A subset by its number, of which 0 is none of it.
    pub fn pieces(&self, scenario: Scenario, cut: &Cut, number: u64) -> Vec<Piece> {
        match number {
            0 => Vec::new(),
            _ => {
                let parts = [cut.number as u64, number];
                choose(&mut self.random(scenario, &parts), &cut.writes)
            }
        }
    }

    /// What a try is called.
    pub fn name_of(&self, scenario: Scenario, cut: &Cut, number: u64) -> String {
        format!(
            "{} on {} with {}, seed {}, flush {}, subset {number}",
            scenario.name(),
            self.layout.name(),
            self.program.name(),
            self.effort.seed,
            cut.number,
        )
    }

    /// Notes a loss. `make` makes the disk again, for who wants to look at it.
    pub fn lose(
        &self,
        outcome: &mut Outcome,
        name: &str,
        error: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        outcome.losses.push(format!("{name}: {error}"));
        let Some(keep) = &self.effort.keep else { return Ok(()) };
        fs::create_dir_all(keep)?;
        make(&keep.join(name.replace([' ', ',', '/'], "-")))
    }

    /// Switches a machine with this disk on.
    fn judge(
        &self,
        scenario: Scenario,
        recorded: &Recorded,
        cut: &Cut,
        image: &Path,
    ) -> Result<()> {
        let again = |machine: &Machine<'_>| -> Result<()> {
            Ok(scenario.again(machine).map_err(|e| format!("the next run: {e}"))?)
        };
        if scenario.is_of_image() {
            self.mounted(image, |machine| judge_cut(&recorded.old, &recorded.new, cut, machine))?;
            let root = self.dir.join("live");
            again(&self.lab.machine(self.program, image, &root, self.dir))?;
            self.mounted(image, |machine| judge_end(scenario, &recorded.new, machine))?;
        } else {
            self.mounted(image, |machine| {
                judge_cut(&recorded.old, &recorded.new, cut, machine)?;
                again(machine)?;
                judge_end(scenario, &recorded.new, machine)
            })?;
        }
        disk::check(image, self.layout)
    }
}

/// Looks at what the power cut left.
pub fn judge_cut(old: &State, new: &State, cut: &Cut, machine: &Machine<'_>) -> Result<()> {
    let state = machine.state()?;
    machine.check_list(&state)?;
    state.is_of(old, new)?;
    if cut.returned && state != *new {
        return Err(UNDONE.into());
    }
    if let Err(error) = machine.fsck() {
        // Nobody is harmed by a part of what no ref names, unless the next run believes in it.
        machine.read_refs(&state).map_err(|_| format!("after the cut: {error}"))?;
    }
    Ok(())
}

/// Looks at what the next run made of it.
pub fn judge_end(scenario: Scenario, new: &State, machine: &Machine<'_>) -> Result<()> {
    let check = || {
        let end = machine.state()?;
        machine.check_list(&end)?;
        scenario.check_end(&end, new)?;
        machine.fsck()
    };
    check().map_err(|e| format!("after the next run: {e}").into())
}
