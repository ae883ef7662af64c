//! Trefoil and libostree at work on one repository and one sysroot at once.
//!
//! Four actors, two of each program, do at random what people do. Every few seconds all stop
//! and everything is looked at: refs hold what their writer wrote last, both programs' fsck
//! pass, every listed deployment is whole, and what must be kept is there. An operation that
//! takes longer than a minute is taken for a deadlock. Then a machine that runs from one of its
//! deployments.

mod ours;
mod running;
mod theirs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use clap::Args;
use trefoil_fsat::Fs;
use trefoil_repo::{Repo, RepoMode};
use trefoil_testkit::os_tree::OsTree;
use trefoil_testkit::ostree::{Ostree, is_root};

use crate::Result;
use crate::faults::machine;
use crate::faults::state::State;
use crate::faults::world::{REF, World};
use crate::faults::{Noise, repository, words};
use crate::figures::{Figure, Run};

/// Between two looks at everything.
const ROUND: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(40);
/// Trefoil waits so long after each operation: libostree asks for a lock once a second, and
/// would hardly ever find it free.
const BREATH: Duration = Duration::from_millis(40);
/// No operation takes longer, whatever else is going on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Refs of the repository that is pulled from.
const SOURCES: usize = 3;

#[derive(Args)]
pub struct Options {
    /// How long both work beside each other; a running machine is tried for a quarter of it
    #[arg(long, value_name = "N", default_value_t = 3)]
    minutes: u64,
    /// 40 seconds
    #[arg(long)]
    short: bool,
    /// Chooses what each actor does, not how they meet
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What an actor did: the operation, and whether it came to its end.
type Done = (&'static str, Result<()>);

/// One operation, chosen by the actor's dice.
type Act = fn(&mut Actor<'_>) -> Done;

/// One of the four.
struct Actor<'a> {
    name: &'static str,
    act: Act,
    dice: Noise,
    rig: &'a Rig,
    tree: OsTree,
    /// Makes what it commits differ.
    count: u64,
}

/// What all share.
struct Rig {
    world: World,
    ostree: Ostree,
    /// What each ref may lead to: the last that was written, or all where several write it.
    written: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// What each actor is at, and since when.
    busy: Mutex<BTreeMap<&'static str, (&'static str, Instant)>>,
    /// Ours and theirs undeploy in turn: the index is chosen before the lock is theirs.
    undeploy: Mutex<()>,
    /// libostree deletes the refs of the old list of deployments before it writes those of the new
    /// one, and a prune in between, by whomever, takes their commits: so those two do not meet.
    refs: RwLock<()>,
    /// Deployments that have to stay, as paths in the sysroot.
    kept: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    if !is_root() {
        return Err("deploying with mode bare needs root".into());
    }
    let length = if options.short { SHORT } else { Duration::from_secs(60 * options.minutes) };
    let rig = Rig::new()?;
    let counts = Mutex::new(BTreeMap::<(&str, String), u64>::new());
    let mut actors = rig.actors(options.seed);
    let started = Instant::now();
    let mut looks = 0;
    while started.elapsed() < length {
        rig.round(&mut actors, &counts)?;
        rig.look().map_err(|e| format!("after {:?}: {}", started.elapsed(), words(&*e)))?;
        looks += 1;
    }
    let counts = counts.into_inner()?;
    let mut figures = figures(&counts, looks, options.seed);
    figures.push(Figure {
        subject: "a machine that runs from a deployment with a hotfix".into(),
        program: "trefoil".into(),
        tried: running::run(options.seed, length / 4)?
            .into_iter()
            .map(|(what, count)| (what.to_string(), count))
            .collect(),
        lost: 0,
        seed: Some(options.seed),
    });
    for figure in &figures {
        eprintln!("{}: {:?}", figure.program, figure.tried);
        if figure.tried.iter().all(|(_, count)| *count == 0) {
            return Err(format!("{} did nothing", figure.program).into());
        }
    }
    let length =
        if options.short { "--short".into() } else { format!("--minutes {}", options.minutes) };
    Run { command: format!("trust neighbours {length} --seed {}", options.seed), figures }
        .save("neighbours")
}

fn figures(counts: &BTreeMap<(&str, String), u64>, looks: u64, seed: u64) -> Vec<Figure> {
    let of = |program: &str| Figure {
        subject: "one repository and one sysroot".into(),
        program: program.into(),
        tried: counts
            .iter()
            .filter(|((by, _), _)| *by == program)
            .map(|((_, what), count)| (what.clone(), *count))
            .chain([("looks at everything".to_string(), looks)])
            .collect(),
        lost: 0,
        seed: Some(seed),
    };
    vec![of("trefoil"), of("ostree")]
}

impl Rig {
    fn new() -> Result<Rig> {
        let world = World::new()?;
        machine::with_three(&world)?;
        repository::create(&world, "source", RepoMode::Bare)?;
        let ostree = Ostree::for_sysroot(&world.live("sysroot")).ok_or("there is no ostree")?;
        let source = format!("--repo={}", world.live("source").display());
        for number in 0..SOURCES {
            world.tree.write("usr/share/source", &number.to_string());
            let tree = world.tree.path().display().to_string();
            ostree.run(&["commit", &source, &format!("--branch=up/{number}"), &tree]);
        }
        let mut repo = world.repo(&Fs::new(), "sysroot/ostree/repo")?;
        let mut config = repo.config().key_file.clone();
        config.set_raw("core", "lock-timeout-secs", "45")?;
        repo.write_config(config)?;
        let mut rig = Rig {
            world,
            ostree,
            written: Mutex::default(),
            busy: Mutex::default(),
            undeploy: Mutex::default(),
            refs: RwLock::default(),
            kept: Vec::new(),
        };
        let (repo, releases) = (rig.repo()?, "theirs/os".parse()?);
        let main = repo.resolve_rev(REF)?;
        repo.set_ref(&releases, Some(&main))?;
        rig.wrote(REF, main.to_hex(), true);
        rig.keep_two()?;
        Ok(rig)
    }

    /// Pins the two oldest deployments, one of which has a hotfix.
    fn keep_two(&mut self) -> Result<()> {
        let (mut sysroot, lock) = self.world.locked(&Fs::new())?;
        for index in [1, 2] {
            sysroot.set_pinned(&lock, index, true)?;
            self.kept.push(sysroot.deployment(index)?.path());
        }
        let root = self.world.live("sysroot");
        let hotfixed = root.join(&self.kept[1]);
        fs::create_dir_all(hotfixed.join(".usr-ovl-upper/bin"))?;
        fs::write(hotfixed.join(".usr-ovl-upper/bin/tool"), "fixed")?;
        let origin = root.join(format!("{}.origin", self.kept[1]));
        let text =
            fs::read_to_string(&origin)?.replace("[origin]\n", "[origin]\nunlocked=hotfix\n");
        Ok(fs::write(origin, text)?)
    }

    fn repo(&self) -> Result<Repo> {
        self.world.repo(&Fs::new(), "sysroot/ostree/repo")
    }

    fn actors(&self, seed: u64) -> Vec<Actor<'_>> {
        let actor = |number: u64, name: &'static str, act: Act| {
            let tree = OsTree::create(&self.world.live(&format!("tree-{number}")));
            let dice = Noise::new(seed.wrapping_mul(31).wrapping_add(number));
            Actor { name, act, dice, rig: self, tree, count: 0 }
        };
        vec![
            actor(0, "trefoil repository", ours::at_the_repository),
            actor(1, "trefoil machine", ours::at_the_machine),
            actor(2, "ostree repository", theirs::at_the_repository),
            actor(3, "ostree machine", theirs::at_the_machine),
        ]
    }

    /// All at work until the time is over.
    fn round(
        &self,
        actors: &mut [Actor<'_>],
        counts: &Mutex<BTreeMap<(&'static str, String), u64>>,
    ) -> Result<()> {
        let (over, working) = (AtomicBool::new(false), AtomicU64::new(actors.len() as u64));
        let (over, working) = (&over, &working);
        thread::scope(|scope| {
            let at_work: Vec<_> = actors
                .iter_mut()
                .map(|actor| {
                    scope.spawn(move || {
                        let outcome = actor.work(over, counts);
                        over.fetch_or(outcome.is_err(), Relaxed);
                        working.fetch_sub(1, Relaxed);
                        outcome
                    })
                })
                .collect();
            let started = Instant::now();
            while working.load(Relaxed) > 0 {
                thread::sleep(Duration::from_millis(50));
                over.fetch_or(started.elapsed() > ROUND, Relaxed);
                self.watch();
            }
            at_work.into_iter().try_for_each(|actor| actor.join().map_err(|_| "an actor died")?)
        })
    }

    /// Who waits for ever cannot be stopped in any other way.
    fn watch(&self) {
        for (name, (what, since)) in self.busy.lock().expect("no holder panics").iter() {
            if since.elapsed() > PATIENCE {
                eprintln!("LOST: {name} has been at {what} for {:?}: a deadlock", since.elapsed());
                std::process::exit(1);
            }
        }
    }

    /// Notes what a ref was set to: alone, or as one of several who write it.
    fn wrote(&self, name: &str, commit: String, shared: bool) {
        let mut written = self.written.lock().expect("no holder panics");
        let values = written.entry(name.to_string()).or_default();
        if !shared {
            values.clear();
        }
        values.insert(commit);
    }

    /// Looks at everything while nobody works.
    fn look(&self) -> Result<()> {
        let state = State::of(&self.world, true)?;
        if state.deployments.is_empty() {
            return Err("no deployment is left".into());
        }
        let root = self.world.live("sysroot");
        for path in &self.kept {
            if !root.join(path).join("usr/bin/tool").exists() {
                return Err(format!("{path} was pinned and is gone").into());
            }
        }
        let fixed = root.join(&self.kept[1]).join(".usr-ovl-upper/bin/tool");
        if fs::read(&fixed).ok().as_deref() != Some(b"fixed") {
            return Err(format!("the hotfix {} is gone", fixed.display()).into());
        }
        let repo = self.repo()?;
        for (name, values) in self.written.lock().expect("no holder panics").iter() {
            let found = repo.resolve_rev(name)?.to_hex();
            if !values.contains(&found) {
                return Err(format!("{name} leads to {found}, which nobody wrote there").into());
            }
        }
        let path = format!("--repo={}", root.join("ostree/repo").display());
        let fsck = self.ostree.output(&["fsck", "-q", &path]);
        if !fsck.status.success() {
            return Err(format!("ostree fsck: {}", String::from_utf8_lossy(&fsck.stderr)).into());
        }
        let status = self.ostree.output(&["admin", "status"]);
        let lines = String::from_utf8_lossy(&status.stdout);
        for listed in &state.deployments {
            if !lines.contains(&listed.commit.to_hex()) {
                return Err(format!("ostree does not list {}:\n{lines}", listed.commit).into());
            }
        }
        Ok(())
    }
}

impl Actor<'_> {
    fn work(
        &mut self,
        over: &AtomicBool,
        counts: &Mutex<BTreeMap<(&'static str, String), u64>>,
    ) -> Result<()> {
        let program = self.name.split(' ').next().unwrap_or_default();
        while !over.load(Relaxed) {
            if program == "trefoil" {
                thread::sleep(BREATH);
            }
            let (what, outcome) = (self.act)(self);
            self.rig.busy.lock().expect("no holder panics").remove(self.name);
            let counted = match outcome {
                Ok(()) => what.to_string(),
                Err(e) if is_fair(&words(&*e)) => {
                    eprintln!("{} at {what}: {}", self.name, words(&*e));
                    format!("{what} refused")
                }
                Err(e) => return Err(format!("{} at {what}: {}", self.name, words(&*e)).into()),
            };
            *counts.lock().expect("no holder panics").entry((program, counted)).or_default() += 1;
        }
        Ok(())
    }

    /// Says what it is at.
    fn begin(&self, what: &'static str) {
        let mut busy = self.rig.busy.lock().expect("no holder panics");
        busy.insert(self.name, (what, Instant::now()));
    }

    /// Makes the tree differ from all that were committed, and now and then its kernel.
    fn edit(&mut self) {
        self.count += 1;
        let version = format!("{} {}", self.name, self.count);
        self.tree.write("usr/bin/version", &version);
        self.tree.write(&format!("usr/share/d{}/file", self.count % 4), &version);
        if self.dice.below(8) == 0 {
            self.tree.set_kernel("6.1.0", &version, Some("initramfs"));
        }
    }

    fn tree_path(&self) -> &Path {
        self.tree.path()
    }
}

/// What may be answered when another was faster: the commit that was to be deployed was pruned
/// after its ref had moved on, the list of deployments changed.
fn is_fair(error: &str) -> bool {
    let answers = [
        "No such metadata object",
        "Couldn't find file object",
        "list of deployments changed",
        "Out of range deployment index",
    ];
    answers.iter().any(|answer| error.contains(answer))
}
