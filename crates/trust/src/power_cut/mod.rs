//! `power-cut`: takes the power away at every flush, and with any of the writes after it done.
//!
//! A sysroot lies on a real file system on a disk whose writes and flushes are recorded while
//! the program works. A disk may keep writes back until a flush, and do them in any order: so
//! the disk as it was at each flush, with a random part of the writes that came before the next
//! one, is what a power cut may leave. Each such disk is mounted, looked at, and the same verb is
//! run again.

mod cut;
mod disk;
mod esp;
mod lab;
mod layout;
mod log;
mod random;
mod record;
mod scenario;
mod state;
mod subset;
mod tool;
mod trees;
mod tries;

use std::collections::VecDeque;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use clap::Args;

use crate::Result;
use crate::figures::{Figure, Run};
use esp::EspRig;
use lab::{Lab, Program};
use layout::Layout;
use scenario::Scenario;
use tries::{Effort, Outcome, Rig};

/// Set where mounts are our own already.
const OWN_MOUNTS: &str = "TREFOIL_TRUST_OWN_MOUNTS";
const RIG: &str = "power-cut";
/// The rig with a virtual machine, which is run by itself.
const RIG_FAT: &str = "power-cut --fs esp-fat";
/// The directory of a run is this and the number of its process.
const SCRATCH: &str = "trefoil-power-cut-";
/// Losses that are told of one scenario.
const TOLD: usize = 5;
/// Most runs without syncs in which something has to be found.
const BLIND_RUNS: usize = 3;

#[derive(Args, Debug)]
pub struct Options {
    /// What chance starts from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// On which file systems (default: all)
    #[arg(long, value_enum, value_delimiter = ',')]
    fs: Vec<Layout>,
    /// What is done (default: everything)
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Which programs are tried
    #[arg(long, value_enum, value_delimiter = ',', default_value = "trefoil")]
    program: Vec<Program>,
    /// Random subsets of the writes after each flush
    #[arg(long, value_name = "N", default_value_t = 8)]
    subsets: u64,
    /// Try no more than this many flushes of each scenario, taken by chance
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// For CI: a few of everything
    #[arg(long, conflicts_with_all = ["subsets", "limit"])]
    short: bool,
    /// Leave the disks of losses in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// For esp-fat: a kernel of Debian with vfat, unpacked [default: the one in target/boot, where
    /// tests/boot puts it]
    #[arg(long, value_name = "DIR")]
    kernel: Option<PathBuf>,
    /// The program of ours [default: `trefoil` beside this one]
    #[arg(long, value_name = "FILE")]
    trefoil: Option<PathBuf>,
    /// Where disks are made: some 500 MB for each file system, written often
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    scratch: PathBuf,
}

pub fn run(options: &Options) -> Result<()> {
    if std::env::var_os(OWN_MOUNTS).is_none() {
        return Err(enter_own_mounts());
    }
    remove_leftovers(&options.scratch)?;
    let dir = options.scratch.join(format!("{SCRATCH}{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let done = run_in(options, &dir);
    std::fs::remove_dir_all(&dir)?;
    done
}

/// Starts anew where mounts are seen by nobody else, and go with us.
fn enter_own_mounts() -> Box<dyn std::error::Error + Send + Sync> {
    let Ok(own) = std::env::current_exe() else { return "no path to this program".into() };
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private"]).arg(own);
    command.args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "1");
    format!("unshare: {}", command.exec()).into()
}

/// Removes what runs left that were killed.
fn remove_leftovers(scratch: &Path) -> Result<()> {
    for entry in std::fs::read_dir(scratch)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(SCRATCH) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn run_in(options: &Options, dir: &Path) -> Result<()> {
    let beside = || std::env::current_exe().map(|own| own.with_file_name("trefoil"));
    let trefoil = options.trefoil.clone().map_or_else(beside, Ok)?;
    let lab = Lab::new(dir, &trefoil)?;
    let effort = Effort {
        seed: options.seed,
        subsets: if options.short { 1 } else { options.subsets },
        limit: if options.short { 3 } else { options.limit.unwrap_or(usize::MAX) },
        keep: options.keep.clone(),
    };
    let layouts = if options.fs.is_empty() { Layout::ALL.to_vec() } else { options.fs.clone() };
    let queue: Mutex<VecDeque<Layout>> = Mutex::new(layouts.into());
    let jobs = std::thread::available_parallelism()?.get();
    let next = || queue.lock().ok()?.pop_front();
    let worker = || -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        while let Some(layout) = next() {
            figures.extend(run_layout(options, &effort, &lab, layout)?);
        }
        Ok(figures)
    };
    let figures: Result<Vec<Vec<Figure>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    finish(if options.fs == [Layout::EspFat] { RIG_FAT } else { RIG }, figures?.concat())
}

/// Everything on one file system.
fn run_layout(
    options: &Options,
    effort: &Effort,
    lab: &Lab,
    layout: Layout,
) -> Result<Vec<Figure>> {
    let dir = lab.dir().join(layout.name().replace([' ', ',', '/'], "-"));
    std::fs::create_dir(&dir)?;
    let mut figures = Vec::new();
    for program in &options.program {
        let rig = Rig { lab, layout, program: *program, dir: &dir, effort };
        if layout == Layout::Image && *program == Program::Ostree {
            continue;
        }
        if layout == Layout::EspFat {
            let rig = EspRig::new(rig, &kernel_package(options)?)?;
            let outcomes = rig.run(&options.scenario)?;
            figures.extend(
                outcomes.iter().map(|(scenario, outcome)| tell(rig.rig(), *scenario, outcome)),
            );
            continue;
        }
        rig.make_base()?;
        // An image is unmounted before its verb returns, which writes out what was not synced.
        if *program == Program::Trefoil && layout != Layout::Image {
            figures.push(self_check(&rig)?);
        }
        for scenario in Scenario::all().iter().filter(|scenario| scenario.is_for(*program, layout))
        {
            if options.scenario.is_empty() || options.scenario.contains(scenario) {
                let outcome = rig.run(*scenario, true)?;
                figures.push(tell(&rig, *scenario, &outcome));
            }
        }
    }
    Ok(figures)
}

/// The unpacked kernel that is asked for, or that is there.
fn kernel_package(options: &Options) -> Result<PathBuf> {
    if let Some(given) = &options.kernel {
        return Ok(given.clone());
    }
    let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/boot");
    for entry in std::fs::read_dir(&boot).into_iter().flatten() {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("linux-image-") {
            return Ok(entry.path());
        }
    }
    Err(format!("no kernel in {}: run tests/boot, or say --kernel", boot.display()).into())
}

/// A rig that finds nothing proves nothing: where syncs are claimed and not done it has to find
/// what is lost.
fn self_check(rig: &Rig<'_>) -> Result<Figure> {
    let effort = Effort { keep: None, subsets: 1, ..rig.effort.clone() };
    let blind = Rig { effort: &effort, ..*rig };
    let scenario = Scenario::DeployFull;
    let mut outcome = blind.run(scenario, false)?;
    for _ in 1..BLIND_RUNS {
        if outcome.losses.is_empty() {
            // Somebody else may have had the whole machine synced meanwhile.
            outcome = blind.run(scenario, false)?;
        }
    }
    let Outcome { boundaries, subsets, losses, .. } = outcome;
    let subject = format!("the rig itself, on {}", rig.layout.name());
    let Some(loss) = losses.first() else {
        let tried = boundaries + subsets;
        return Err(
            format!("{subject}: nothing was synced, and {tried} power cuts lost nothing").into()
        );
    };
    eprintln!("{subject}: {} of {} lost without syncs: {loss}", losses.len(), boundaries + subsets);
    Ok(Figure {
        subject: format!("{subject}: {} with syncs left out", scenario.name()),
        program: rig.program.name().into(),
        tried: vec![
            ("power cuts".into(), boundaries + subsets),
            ("found to lose, as they must".into(), losses.len() as u64),
        ],
        lost: 0,
        seed: Some(effort.seed),
    })
}

fn tell(rig: &Rig<'_>, scenario: Scenario, outcome: &Outcome) -> Figure {
    let subject = format!("{} on {}", scenario.name(), rig.layout.name());
    let Outcome { boundaries, subsets, next_runs, losses } = outcome;
    let program = rig.program.name();
    let lost = losses.len();
    eprintln!("{subject}: {program}: {boundaries} flushes, {subsets} subsets, {lost} lost");
    for loss in losses.iter().take(TOLD) {
        eprintln!("  LOST: {loss}");
    }
    let mut tried = vec![
        ("flush boundaries".to_string(), *boundaries),
        ("write subsets".to_string(), *subsets),
    ];
    if *next_runs > 0 {
        tried.push(("next runs in a virtual machine".to_string(), *next_runs));
    }
    if lost > 0 {
        tried.push(("lost whole, as if never run".into(), outcome.undone() as u64));
    }
    Figure {
        subject,
        program: program.into(),
        tried,
        lost: lost as u64,
        seed: Some(rig.effort.seed),
    }
}

fn finish(rig: &str, mut figures: Vec<Figure>) -> Result<()> {
    figures.sort_by(|a, b| (&a.program, &a.subject).cmp(&(&b.program, &b.subject)));
    figures.reverse();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ours = figures.iter().filter(|figure| figure.program == Program::Trefoil.name());
    let lost: u64 = ours.map(|figure| figure.lost).sum();
    Run { command: format!("trust {}", words.join(" ")), figures }.save(rig)?;
    match lost {
        0 => Ok(()),
        _ => Err(format!("{lost} power cuts lost something of ours").into()),
    }
}
