//! Power cuts where GRUB's configuration lies on an EFI system partition, which is FAT.
//!
//! FAT has no journal, and its driver writes when it likes. The verbs run in a virtual machine whose
//! disk is recorded, in one run; marks that they write to the disk say when each began and ended.
//! What a power cut left is looked at here, without FAT's driver, and some of it is given to
//! another machine, for the next run.

mod act;
mod fat;
mod guest;

use std::fs;
use std::path::{Path, PathBuf};

use super::cut::{self, Cut};
use super::disk;
use super::lab::Machine;
use super::layout::Part;
use super::log::{Entry, Log, Write};
use super::random::Random;
use super::scenario::{self, Scenario};
use super::state::{self, Boot, State};
use super::subset::choose;
use super::tries::{self, Outcome, Rig, UNDONE};
use crate::Result;
use act::{AGAIN, SCENARIOS, marks, record_script, verb};
use fat::Esp;
use guest::{Guest, plain_disk};

/// Files of the partition that no deploy has anything to do with.
const OTHERS: [&str; 2] = ["EFI/BOOT/BOOTX64.EFI", "EFI/trefoil/shimx64.efi"];
/// Disks that one machine is given for the next run, and the most of one scenario.
const BATCH: usize = 8;
const NEXT_RUNS: usize = 24;
/// Tries in which a disk that ignores flushes has to lose something.
const BLIND_TRIES: u64 = 12;

/// One verb of the run.
struct Act {
    scenario: Scenario,
    /// Entries of the log from its beginning until all was written out.
    run: std::ops::Range<usize>,
    /// Entries when it returned.
    returned: usize,
    old: Seen,
    new: Seen,
}

/// What is on a disk, as our programs see it and as GRUB does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    state: State,
    esp: Esp,
}

/// A disk for the next run, of which act, and what the try is called.
struct Next {
    file: PathBuf,
    act: usize,
    name: String,
}

/// The rig for such a disk.
pub struct EspRig<'a> {
    rig: Rig<'a>,
    esp: Part,
    guest: Guest,
}

impl<'a> EspRig<'a> {
    /// Makes the disk and what it takes to start machines; `package` is an unpacked kernel.
    pub fn new(rig: Rig<'a>, package: &Path) -> Result<EspRig<'a>> {
        let esp = rig.layout.esp().ok_or("there is no EFI system partition")?;
        let base = rig.base();
        let root = rig.dir.join("live");
        let machine = rig.lab.machine(rig.program, &base, &root, rig.dir);
        let guest = Guest::new(rig.dir, package, &machine)?;
        let rig = EspRig { rig, esp, guest };
        rig.make_base(&machine).map_err(|e| format!("making the base system: {e}"))?;
        Ok(rig)
    }

    fn make_base(&self, machine: &Machine<'_>) -> Result<()> {
        let file = self.rig.dir.join("program.efi");
        fs::write(&file, "a program for UEFI, which nobody starts\n".repeat(3000))?;
        let path = file.to_string_lossy().into_owned();
        let (program, driver) = (format!("--systemd-boot={path}"), format!("--efi-ext4={path}"));
        let ours = [program.as_str(), driver.as_str(), "--bootloader=systemd-boot"];
        scenario::create_esp_image(machine, &ours)?;
        let base = self.rig.base();
        self.rig.mounted(&base, scenario::fill_esp_image)?;
        fat::make_dir(&base, &self.esp, fat::DIR)?;
        let empty = self.rig.dir.join("grub.cfg");
        fs::write(&empty, "# nothing yet\n")?;
        fat::write_file(&base, &self.esp, &empty, &format!("{}/grub.cfg", fat::DIR))?;
        fat::write_file(&base, &self.esp, &file, OTHERS[1])
    }

    /// Records the run.
    fn record(&self) -> Result<(Log, Vec<Act>)> {
        let image = self.rig.dir.join("image");
        disk::copy(&self.rig.base(), &image)?;
        let log = self.rig.dir.join("log");
        let disk = super::record::disk_of_machine(&image, &log)?;
        let said = self.guest.run(&record_script(self.rig.program), &disk)?;
        if !said.lines().any(|line| line == "RECORDED") {
            return Err(format!("before any power cut: {}", said.trim()).into());
        }
        let mut log = Log::open(&log)?;
        log.refresh()?;
        log.check()?;
        self.rig.check_log(&log, &image)?;
        let acts = self.acts(&log)?;
        Ok((log, acts))
    }

    fn acts(&self, log: &Log) -> Result<Vec<Act>> {
        let marks = marks(log)?;
        let [m0, m1, m2, m3, m4] = marks[..] else {
            return Err(format!("the log has {} marks", marks.len()).into());
        };
        let seen = |until: usize| self.see_at(log, until);
        let (first, second, third) = (seen(m0)?, seen(m2)?, seen(m4)?);
        let act = |scenario, run, returned, old: &Seen, new: &Seen| Act {
            scenario,
            run,
            returned,
            old: old.clone(),
            new: new.clone(),
        };
        Ok(vec![
            act(SCENARIOS[0], m0..m2, m1, &first, &second),
            act(SCENARIOS[1], m2..m4, m3, &second, &third),
        ])
    }

    /// What the disk had after that many entries.
    fn see_at(&self, log: &Log, until: usize) -> Result<Seen> {
        let file = self.rig.dir.join("seen");
        log.replay(&disk::copy(&self.rig.base(), &file)?, 0..until)?;
        self.see_same(&file)
    }

    fn see(&self, file: &Path) -> Result<Seen> {
        let esp = fat::read(file, &self.esp, &OTHERS)?;
        let state = self.rig.mounted(file, |machine| machine.state())?;
        Ok(Seen { state, esp })
    }

    /// The deployments that GRUB finds, each whole.
    fn grub(&self, file: &Path, seen: &Seen) -> Result<Vec<String>> {
        let config = seen.esp.config.as_deref().ok_or("there is no grub.cfg")?;
        let known = &self.rig.lab.known;
        let boots =
            self.rig.mounted(file, |machine| state::read_grub(machine.root, config, known))?;
        Ok(boots.iter().map(Boot::name).collect())
    }

    /// What is tried, and where.
    pub fn rig(&self) -> &Rig<'a> {
        &self.rig
    }

    /// Everything.
    pub fn run(&self, wanted: &[Scenario]) -> Result<Vec<(Scenario, Outcome)>> {
        let (log, acts) = self.record()?;
        self.self_check(&log, &acts[0])?;
        let is_wanted = |act: &Act| wanted.is_empty() || wanted.contains(&act.scenario);
        let acts: Vec<Act> = acts.into_iter().filter(is_wanted).collect();
        let (mut outcomes, mut next) = (Vec::new(), Vec::new());
        for (at, act) in acts.iter().enumerate() {
            outcomes.push((act.scenario, self.run_act(&log, act, at, &mut next)?));
        }
        for batch in next.chunks(BATCH) {
            self.run_again(&acts, batch, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    fn run_act(&self, log: &Log, act: &Act, at: usize, all: &mut Vec<Next>) -> Result<Outcome> {
        let mut cuts = cut::cuts(log, act.run.clone(), act.returned, true);
        let mut random = self.rig.random(act.scenario, &[]);
        cut::limit(&mut cuts, self.rig.effort.limit, &mut random);
        let (mut outcome, mut next) = (Outcome::default(), Vec::new());
        let (now, image) = (self.rig.dir.join("now"), self.rig.dir.join("cut"));
        let disk = disk::copy(&self.rig.base(), &now)?;
        let mut done = 0;
        for cut in &cuts {
            log.replay(&disk, done..cut.done)?;
            done = cut.done;
            for number in 0..=self.rig.count(cut) {
                let pieces = self.rig.pieces(act.scenario, cut, number);
                outcome.count(number);
                cut::make_cut(log, cut, &pieces, &now, &image)?;
                let name = self.rig.name_of(act.scenario, cut, number);
                // A machine is given the disk as it was cut off, not as it was mounted here.
                if let Some(slot) = self.slot(&mut random, &outcome, next.len()) {
                    let file = self.rig.dir.join(format!("next-{at}-{slot}"));
                    disk::copy(&image, &file)?;
                    put(&mut next, slot, Next { file, act: at, name: name.clone() });
                }
                if let Err(error) = self.judge(act, cut, &image) {
                    self.rig.lose(&mut outcome, &name, &error.to_string(), |to| {
                        cut::make_cut(log, cut, &pieces, &now, to).map(drop)
                    })?;
                }
            }
        }
        all.append(&mut next);
        Ok(outcome)
    }

    /// Where the disk of this try is kept for the next run, if it is: each has the same chance.
    fn slot(&self, random: &mut Random, outcome: &Outcome, kept: usize) -> Option<usize> {
        let most = NEXT_RUNS.min(self.rig.effort.limit);
        let at = random.below(outcome.boundaries + outcome.subsets) as usize;
        if kept < most { Some(kept) } else { Some(at).filter(|at| *at < most) }
    }

    /// Looks at what a power cut left.
    fn judge(&self, act: &Act, cut: &Cut, image: &Path) -> Result<()> {
        fat::check(image, &self.esp)?;
        let esp = fat::read(image, &self.esp, &OTHERS)?;
        if esp != act.old.esp && esp != act.new.esp {
            // What a cut leaves may be a cluster of zeros.
            let config = esp.config.as_deref().map_or("none", |text| text.trim_matches('\0'));
            let config: String = config.chars().take(200).collect();
            return Err(format!("the ESP is neither old nor new; grub.cfg: {config:?}").into());
        }
        let (old, new) = (&act.old.state, &act.new.state);
        self.rig.mounted(image, |machine| {
            let config = esp.config.as_deref().unwrap_or_default();
            state::read_grub(machine.root, config, &self.rig.lab.known)?;
            tries::judge_cut(old, new, cut, machine)
        })?;
        disk::check(image, self.rig.layout)?;
        match cut.returned && esp != act.new.esp {
            true => Err(UNDONE.into()),
            false => Ok(()),
        }
    }

    /// Has a machine run the verbs on disks that were cut off, and looks at what came of it.
    fn run_again(
        &self,
        acts: &[Act],
        disks: &[Next],
        outcomes: &mut [(Scenario, Outcome)],
    ) -> Result<()> {
        let mut script = AGAIN.to_string();
        let mut words = Vec::new();
        for (at, disk) in disks.iter().enumerate() {
            let verb = verb(self.rig.program, acts[disk.act].scenario);
            script.push_str(&format!("again vd{} {verb}\n", letter(at)));
            words.extend(plain_disk(&disk.file, at));
        }
        let said = self.guest.run(&script, &words)?;
        for (at, disk) in disks.iter().enumerate() {
            let outcome = &mut outcomes[disk.act].1;
            outcome.next_runs += 1;
            let done = format!("NEXT vd{} done", letter(at));
            let judged = match said.lines().any(|line| line == done) {
                true => self.judge_end(&acts[disk.act], &disk.file),
                false => Err(said.trim().into()),
            };
            if let Err(error) = judged {
                let error = format!("the next run: {error}");
                self.rig
                    .lose(outcome, &disk.name, &error, |to| disk::copy(&disk.file, to).map(drop))?;
            }
        }
        Ok(())
    }

    fn judge_end(&self, act: &Act, file: &Path) -> Result<()> {
        fat::check(file, &self.esp)?;
        let seen = self.see_same(file)?;
        if seen.esp.others != act.new.esp.others {
            return Err("other files of the ESP are not what they were".into());
        }
        let new = &act.new.state;
        self.rig.mounted(file, |machine| tries::judge_end(act.scenario, new, machine))?;
        disk::check(file, self.rig.layout)
    }

    /// What is there, where GRUB and the entries have to agree.
    fn see_same(&self, file: &Path) -> Result<Seen> {
        let seen = self.see(file)?;
        let names: Vec<String> = seen.state.boots.iter().map(Boot::name).collect();
        let grub = self.grub(file, &seen)?;
        match grub == names {
            true => Ok(seen),
            false => Err(format!("GRUB boots {grub:?}, and the entries say {names:?}").into()),
        }
    }

    /// Where flushes do nothing for the FAT, and only for it, something is lost, and we see it.
    fn self_check(&self, log: &Log, act: &Act) -> Result<()> {
        let write = |entry: &Entry| match entry {
            Entry::Write(write) => Some(*write),
            Entry::Flush => None,
        };
        let writes = log.entries[act.run.start..act.returned].iter().filter_map(write);
        let (fat, others): (Vec<Write>, _) = writes.partition(|write| self.esp.holds(write.at));
        let (number, done) = (0, act.run.start);
        let cut = Cut { done, number, writes: fat, returned: true };
        let (now, image) = (self.rig.dir.join("now"), self.rig.dir.join("cut"));
        let disk = disk::copy(&self.rig.base(), &now)?;
        log.replay(&disk, 0..cut.done)?;
        others.iter().try_for_each(|write: &Write| log.apply(&disk, write, 0, write.len))?;
        for number in 0..BLIND_TRIES {
            let mut random = self.rig.random(act.scenario, &[u64::MAX, number]);
            cut::make_cut(log, &cut, &choose(&mut random, &cut.writes), &now, &image)?;
            if let Err(loss) = self.judge(act, &cut, &image) {
                let layout = self.rig.layout.name();
                eprintln!("the rig itself, on {layout}: lost without flushes of FAT: {loss}");
                return Ok(());
            }
        }
        Err(format!("of {} writes to FAT none was missed", cut.writes.len()).into())
    }
}

fn put(all: &mut Vec<Next>, slot: usize, next: Next) {
    match all.get_mut(slot) {
        Some(old) => *old = next,
        None => all.push(next),
    }
}

fn letter(at: usize) -> char {
    char::from(b'a' + at as u8)
}
