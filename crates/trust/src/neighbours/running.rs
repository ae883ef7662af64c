//! A machine that runs from a deployment with a hotfix: whatever is done beside it, that one,
//! what is staged and what is pinned stay.
//!
//! libostree cannot be told here that a deployment runs; both programs in namespaces of a
//! running machine are `crates/cli/tests/cli/{staged,unlocked}.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use trefoil_fsat::Fs;

use crate::Result;
use crate::faults::machine;
use crate::faults::state::State;
use crate::faults::world::World;
use crate::faults::{Noise, words};

/// What was tried, and how often.
pub type Counts = BTreeMap<&'static str, u64>;

/// What has to stay.
struct Kept {
    world: World,
    tree: PathBuf,
    ino: u64,
    dice: Noise,
    release: u32,
    counts: Counts,
}

/// Does at random what people do on a running machine.
pub fn run(seed: u64, length: Duration) -> Result<Counts> {
    let world = World::new()?;
    machine::running(&world)?;
    let tree = world.live("sysroot").join(world.sysroot(&Fs::new())?.deployment(0)?.path());
    fs::create_dir_all(tree.join(".usr-ovl-upper"))?;
    fs::write(tree.join(".usr-ovl-upper/fixed"), "fixed")?;
    let ino = fs::metadata(&tree)?.ino();
    let dice = Noise::new(seed);
    let mut kept = Kept { world, tree, ino, dice, release: 10, counts: Counts::new() };
    let started = Instant::now();
    while started.elapsed() < length {
        let what = kept.step()?;
        kept.look().map_err(|e| format!("a running machine, after {what}: {}", words(&*e)))?;
        *kept.counts.entry(what).or_default() += 1;
    }
    Ok(kept.counts)
}

impl Kept {
    fn step(&mut self) -> Result<&'static str> {
        let (world, fs) = (&self.world, Fs::new());
        Ok(match self.dice.below(10) {
            0..=2 => {
                self.release += 1;
                machine::release(world, self.release)?;
                machine::stage(world, &fs)?;
                "stagings"
            }
            3 | 4 => {
                self.release += 1;
                machine::release(world, self.release)?;
                machine::deploy(world, &fs)?;
                "deploys beside a running one"
            }
            5 => {
                machine::finalize(world, &fs)?;
                "finalizations"
            }
            6 => {
                machine::cleanup(world, &fs)?;
                "cleanups beside a running one"
            }
            7 => {
                machine::prepare_spare(world, &fs)?;
                "spares prepared beside a running one"
            }
            _ => self.take_off()?,
        })
    }

    /// The one that runs is refused, any other goes.
    fn take_off(&mut self) -> Result<&'static str> {
        let (mut sysroot, lock) = self.world.locked(&Fs::new())?;
        let at = self.dice.below(sysroot.deployments().len());
        let runs = sysroot.deployment(at)?.identity.1 == self.ino;
        match (sysroot.undeploy(&lock, at, &machine::builder()), runs) {
            (Err(_), true) => Ok("undeploys of the running one refused"),
            (Ok(_), false) => Ok("undeploys beside a running one"),
            (Ok(_), true) => Err("the deployment that runs was undeployed".into()),
            (Err(e), false) => Err(e.into()),
        }
    }

    fn look(&self) -> Result<()> {
        if fs::metadata(&self.tree).map_or(0, |meta| meta.ino()) != self.ino {
            return Err("the deployment that runs is gone".into());
        }
        if fs::read(self.tree.join(".usr-ovl-upper/fixed")).ok().as_deref() != Some(b"fixed") {
            return Err("its hotfix is gone".into());
        }
        // What is staged and what is listed has to be whole.
        State::of(&self.world, true).map(drop)
    }
}
