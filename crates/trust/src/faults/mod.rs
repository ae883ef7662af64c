//! Every mutating call through the file system layer fails once with each error, and the
//! process dies once before and after it, in everything that people do.
//!
//! After each try: the error names the operation and the path; the state is the old one or the
//! new one, whole; the next run succeeds without help and comes to what an undisturbed one
//! comes to; and nothing is left lying about that the undisturbed one does not leave.

pub mod machine;
pub mod repository;
mod scenarios;
pub mod state;
pub mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use trefoil_fsat::{Fault, FaultKind, Fs, Op};
use trefoil_testkit::ostree::{Ostree, is_root};

use crate::Result;
use crate::figures::{Figure, Run};
use scenarios::{ALL, Again, Scenario};
use state::State;
use world::World;

/// The world as it is before a try.
const BEFORE: &str = "before";
/// Tries of each scenario in a short run, the first and the last call among them.
const SHORT: usize = 40;
/// One in so many states is shown to libostree too.
const ASKED: u64 = 16;
/// So many losses of one scenario tell enough.
const ENOUGH: u64 = 8;

#[derive(Args)]
pub struct Options {
    /// A seeded sample of each scenario, always with the first and the last call
    #[arg(long)]
    short: bool,
    /// Chooses the sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this scenario; may be given again
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Only this call, counted from 1
    #[arg(long, value_name = "N")]
    at: Option<u64>,
    /// Only this fault: an error number by name, `die-before` or `die-after`
    #[arg(long, value_name = "FAULT")]
    fault: Option<String>,
}

/// What happens to a call, by name.
const FAULTS: [(&str, FaultKind); 8] = [
    ("ENOSPC", FaultKind::Fail(28)),
    ("EIO", FaultKind::Fail(5)),
    ("EDQUOT", FaultKind::Fail(122)),
    ("EROFS", FaultKind::Fail(30)),
    ("EMLINK", FaultKind::Fail(EMLINK)),
    ("EINTR", FaultKind::Fail(EINTR)),
    ("die-before", FaultKind::Die),
    ("die-after", FaultKind::DieAfter),
];
const EINTR: i32 = 4;
const EMLINK: i32 = 31;

/// One try.
#[derive(Copy, Clone)]
struct Case {
    at: u64,
    word: &'static str,
    kind: FaultKind,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--at {} --fault {}", self.at, self.word)
    }
}

pub fn run(options: &Options) -> Result<()> {
    if !is_root() {
        return Err("deploying with mode bare needs root".into());
    }
    for name in &options.scenario {
        if !ALL.iter().any(|scenario| scenario.name == name) {
            let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
            return Err(format!("no scenario {name}; there are {}", known.join(", ")).into());
        }
    }
    let mut figures = Vec::new();
    let chosen = |s: &&Scenario| {
        options.scenario.is_empty() || options.scenario.iter().any(|name| name == s.name)
    };
    for scenario in ALL.iter().filter(chosen) {
        // Calls in a fixed order: what is the n-th of them must not be a matter of luck.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        figures.push(pool.install(|| try_scenario(scenario, options))?);
    }
    let lost: u64 = figures.iter().map(|figure| figure.lost).sum();
    let whole = options.scenario.is_empty() && options.at.is_none() && options.fault.is_none();
    if whole {
        let short = if options.short { " --short" } else { "" };
        let command = format!("trust faults{short} --seed {}", options.seed);
        Run { command, figures }.save("faults")?;
    }
    if lost > 0 { Err(format!("{lost} tries lost something").into()) } else { Ok(()) }
}

fn try_scenario(scenario: &Scenario, options: &Options) -> Result<Figure> {
    let name = scenario.name;
    let named = |e: Box<dyn std::error::Error + Send + Sync>| {
        format!("{name}, undisturbed: {}", words(&*e))
    };
    let started = Instant::now();
    let rig = Rig::new(scenario).map_err(named)?;
    let cases = choose(rig.calls, options);
    let mut lost = 0;
    for (number, case) in cases.iter().enumerate() {
        let ask = (number as u64).is_multiple_of(ASKED);
        if let Err(problem) = rig.attempt(*case, ask) {
            lost += 1;
            eprintln!("LOST: trust faults --scenario {name} {case}: {}", words(&*problem));
            if lost >= ENOUGH {
                break;
            }
        }
    }
    let calls = rig.calls;
    let taken = started.elapsed();
    eprintln!(
        "{name}: {calls} mutating calls, {} faults, {lost} lost, {}",
        cases.len(),
        seconds(taken)
    );
    Ok(Figure {
        subject: name.to_string(),
        program: "trefoil".to_string(),
        tried: vec![
            ("mutating calls".to_string(), calls),
            ("faults injected".to_string(), cases.len() as u64),
        ],
        lost,
        seed: options.short.then_some(options.seed),
    })
}

fn seconds(taken: Duration) -> String {
    format!("{:.1} s", taken.as_secs_f64())
}

/// All cases, or a sample of them.
fn choose(calls: u64, options: &Options) -> Vec<Case> {
    let wanted = |word: &str| options.fault.as_ref().is_none_or(|f| f.eq_ignore_ascii_case(word));
    let faults: Vec<_> = FAULTS.iter().filter(|(word, _)| wanted(word)).collect();
    let at = |at: u64| faults.iter().map(move |(word, kind)| Case { at, word, kind: *kind });
    let all: Vec<Case> =
        (1..=calls).filter(|n| options.at.is_none_or(|at| at == *n)).flat_map(at).collect();
    if !options.short || all.len() <= SHORT {
        return all;
    }
    let mut noise = Noise::new(options.seed);
    let edge = |case: &Case| case.at == 1 || case.at == calls;
    let (mut chosen, mut rest): (Vec<_>, Vec<_>) = all.into_iter().partition(edge);
    while chosen.len() < SHORT && !rest.is_empty() {
        chosen.push(rest.swap_remove(noise.below(rest.len())));
    }
    chosen
}

/// A scenario that went through undisturbed once.
struct Rig<'a> {
    scenario: &'a Scenario,
    world: World,
    ostree: Option<Ostree>,
    /// How many mutating calls it makes.
    calls: u64,
    /// The states it may be found in, the first being that before, the last that after.
    states: Vec<State>,
    /// What it leaves lying about.
    names: BTreeMap<String, usize>,
}

impl Rig<'_> {
    fn new(scenario: &Scenario) -> Result<Rig<'_>> {
        let world = World::new()?;
        (scenario.prepare)(&world)?;
        world.save(BEFORE)?;
        (scenario.settle)(&world)?;
        let mut states = vec![State::of(&world, true)?];
        let fs = Fs::new();
        for act in scenario.acts {
            act(&world, &fs)?;
            states.push(State::of(&world, true)?);
        }
        if scenario.may_unstage {
            states.insert(1, State { staged: None, ..states[0].clone() });
        }
        let calls = fs.mutations();
        let mut names = state::names(&world)?;
        // Done twice it may leave more: a spare where there was none.
        scenario.acts.iter().try_for_each(|act| act(&world, &Fs::new()))?;
        for (area, count) in state::names(&world)? {
            let most = names.entry(area).or_default();
            *most = count.max(*most);
        }
        let ostree = Ostree::for_sysroot(&world.live("sysroot"));
        let rig = Rig { scenario, world, ostree, calls, states, names };
        rig.ask_libostree()?;
        Ok(rig)
    }

    fn attempt(&self, case: Case, ask: bool) -> Result<()> {
        let world = &self.world;
        world.restore(BEFORE)?;
        (self.scenario.settle)(world)?;
        let fs = Fs::with_fault(Fault { at: case.at, kind: case.kind });
        let outcome = self.scenario.acts.iter().try_for_each(|act| act(world, &fs));
        let Some((op, path)) = fs.struck() else { return Err("the fault did not strike".into()) };
        let copied = op == Op::Link && case.kind == FaultKind::Fail(EMLINK);
        let found = State::of(world, !copied).map_err(|e| format!("not whole: {}", words(&*e)))?;
        let at = format!("{} {}", op.word(), path.display());
        if !self.states.contains(&found) {
            return Err(
                format!("{at}: neither old nor new: {found:#?}\nof {:#?}", self.states).into()
            );
        }
        match &outcome {
            Ok(()) if Some(&found) != self.states.last() => {
                return Err(format!("{at}: success was claimed").into());
            }
            Err(e) if tolerable(case.kind, op) => {
                return Err(format!("{at}: it should have gone on: {}", words(&**e)).into());
            }
            Err(e) if matches!(case.kind, FaultKind::Fail(_)) => names_it(&words(&**e), op, path)?,
            // The dead say nothing.
            _ => {}
        }
        if ask {
            self.ask_libostree().map_err(|e| format!("{at}: {e}"))?;
        }
        // The dead take nothing away, and who cannot remove leaves it: it goes when it is old.
        let removes = matches!(op, Op::Unlink | Op::Rmdir);
        let patient = removes || !matches!(case.kind, FaultKind::Fail(_));
        self.go_on(&found, patient, !copied)
            .map_err(|e| format!("{at}: then {}", words(&*e)).into())
    }

    /// The next run.
    fn go_on(&self, found: &State, patient: bool, linked: bool) -> Result<()> {
        let world = &self.world;
        let fs = Fs::new();
        self.scenario.acts.iter().try_for_each(|act| act(world, &fs))?;
        let again = State::of(world, linked)?;
        let wanted = self.states.last().ok_or("there is a last state")?;
        let same = match self.scenario.again {
            Again::Newest if found == wanted => true,
            Again::Newest => again.newest() == wanted.newest() && again.refs == wanted.refs,
            Again::Same => again == *wanted,
        };
        if !same {
            return Err(format!("another state: {again:#?}\ninstead of {wanted:#?}").into());
        }
        if patient {
            state::let_time_pass(world)?;
        }
        for (area, count) in state::names(world)? {
            let most = self.names.get(&area).copied().unwrap_or(0);
            if count > most {
                return Err(format!("{count} names in {area}, {most} undisturbed").into());
            }
        }
        Ok(())
    }

    /// What libostree thinks of it.
    fn ask_libostree(&self) -> Result<()> {
        let Some(ostree) = &self.ostree else { return Ok(()) };
        for name in ["repo", "sysroot/ostree/repo"] {
            let path = self.world.live(name);
            if path.join("objects").exists() {
                expect(&ostree.output(&["fsck", "-q", &format!("--repo={}", path.display())]))?;
            }
        }
        if self.world.live("sysroot/boot/loader").exists() {
            expect(&ostree.output(&["admin", "status"]))?;
        }
        Ok(())
    }
}

fn expect(output: &std::process::Output) -> Result<()> {
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ostree: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Whether it has to go on all the same: a signal is no reason to stop, and a file that cannot
/// be linked once more is copied.
fn tolerable(kind: FaultKind, op: Op) -> bool {
    kind == FaultKind::Fail(EINTR) || (kind == FaultKind::Fail(EMLINK) && op == Op::Link)
}

/// The error says what was done, and on which path.
fn names_it(text: &str, op: Op, path: &std::path::Path) -> Result<()> {
    let path = path.display().to_string();
    match text.contains(op.word()) && text.contains(path.trim_end_matches('/')) {
        true => Ok(()),
        false => Err(format!("`{} {path}` is not in the error: {text}", op.word()).into()),
    }
}

/// An error with its causes, as the command line prints them.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Numbers that are the same for the same seed.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}
