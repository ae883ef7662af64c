//! Bytes that nobody vouches for, in everything that parses them: libFuzzer over the targets of
//! [`trefoil_trust::targets`].
//!
//! The engine is built by the compiler that is there, a stable one: our own crates with counters
//! (`instrument`), the libraries below them as any debug build has them. What a run learns stays
//! in `target/fuzz/corpus`; what it finds is left in `target/fuzz/found`, belongs into `corpus/`
//! beside the seeds once it is mended, and is tried again by the test `corpus`.

mod engine;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use clap::Args;
use trefoil_trust::targets::{self, TARGETS, Target};

use crate::Result;
use crate::figures::{Figure, Run};
use engine::{Engine, Outcome};

#[derive(Args)]
pub struct Options {
    /// Only this target; may be given several times
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// How long each target is fuzzed
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Seed of the mutations
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,
    /// How many targets are fuzzed at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Print the targets and what they cover
    #[arg(long)]
    list: bool,
    /// Try this one input with the one target, without the engine
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.targets)?;
    if options.list {
        for target in chosen {
            println!("{}: {}", target.name, target.formats);
        }
        return Ok(());
    }
    if let Some(file) = &options.input {
        let [target] = chosen[..] else { return Err("--input goes with one --target".into()) };
        (target.run)(&fs::read(file)?);
        eprintln!("{}: nothing wrong with {}", target.name, file.display());
        return Ok(());
    }
    fuzz(options, &chosen)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        targets::find(name).ok_or_else(|| format!("there is no target '{name}'; see --list").into())
    };
    names.iter().map(find).collect()
}

fn fuzz(options: &Options, chosen: &[&'static Target]) -> Result<()> {
    let engine = Engine::build(options.seconds, options.seed)?;
    let waiting = Mutex::new(chosen.iter());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no holder panics").next();
                    let Some(target) = next else { return };
                    let outcome = engine.run(target);
                    done.lock().expect("no holder panics").push((target.name, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no holder panics");
    done.sort_by_key(|(name, _)| TARGETS.iter().position(|target| target.name == *name));
    let (mut figures, mut problems) = (Vec::new(), Vec::new());
    for (name, outcome) in done {
        let outcome = outcome?;
        figures.push(figure(name, &outcome, options.seed));
        problems.extend(outcome.found.map(|found| format!("{name}: {found}")));
    }
    // A few targets are no run to be reported.
    if chosen.len() == TARGETS.len() {
        let (seconds, seed) = (options.seconds, options.seed);
        let command = format!("trust fuzz --seconds {seconds} --seed {seed}");
        Run { command, figures }.save("fuzz")?;
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.join("\n").into()),
    }
}

fn figure(name: &str, outcome: &Outcome, seed: u32) -> Figure {
    Figure {
        subject: name.to_string(),
        program: "trefoil".to_string(),
        tried: vec![
            ("executions".to_string(), outcome.executions),
            ("inputs kept".to_string(), outcome.inputs),
            ("counters reached".to_string(), outcome.reached),
        ],
        lost: u64::from(outcome.found.is_some()),
        seed: Some(seed.into()),
    }
}
