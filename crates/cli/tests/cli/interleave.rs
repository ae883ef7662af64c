//! Both programs on one sysroot, in any order.

use std::fs;

use crate::site::{REF, Site, TREFOIL};
use crate::support::need_ostree;

/// How many sequences are tried, and how long they are.
const SEQUENCES: u64 = 8;
const STEPS: usize = 10;

/// A sequence of numbers that a seed decides, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What is known of the sysroot without asking either program.
struct Model {
    site: Site,
    dice: Dice,
    version: u64,
    story: Vec<String>,
}

impl Model {
    fn new(seed: u64) -> Model {
        let site = Site::new();
        site.tree.write("usr/share/version", "1");
        let mut model = Model { site, dice: Dice(seed), version: 1, story: Vec::new() };
        model.release();
        model
    }

    /// Commits another version and pulls it.
    fn release(&mut self) {
        self.version += 1;
        let version = self.version.to_string();
        self.site.tree.write("usr/share/version", &version);
        self.site.tree.write(&format!("usr/share/d{}/file", self.version % 3), &version);
        if self.dice.roll(4) == 0 {
            self.site.tree.set_kernel("6.1.0", &version, Some("initramfs"));
        }
        self.site.commit(&version);
        self.site.pull();
    }

    fn count(&self) -> u64 {
        let out = self.site.must("admin status").out;
        out.lines().filter(|line| line.contains(" testos ")).count() as u64
    }

    /// One step by either program.
    fn step(&mut self) {
        let (turn, kind) = (self.dice.roll(2), self.dice.roll(10));
        // `ostree` 2022.7 has no set-default yet.
        let program = if turn == 0 || kind == 8 { TREFOIL } else { "ostree" };
        let words = match kind {
            0..=3 => {
                self.release();
                format!("admin deploy --os=testos origin:{REF}")
            }
            4 => format!("admin deploy --os=testos --retain origin:{REF}"),
            5 => "admin cleanup".to_string(),
            6 | 7 => match self.count() {
                0 => return,
                count => format!("admin undeploy {}", self.dice.roll(count)),
            },
            8 => match self.count() {
                0 => return,
                count => format!("admin set-default {}", self.dice.roll(count)),
            },
            _ => match self.count() {
                0 => return,
                _ => {
                    return fs::write(self.site.etc("mine"), self.version.to_string())
                        .expect("etc is ours");
                }
            },
        };
        let mine = self.local_edit();
        self.story.push(format!("{program} {words}"));
        let said = self.site.run(program, &words);
        assert!(said.ok, "{:#?}: {said:?}", self.story);
        if words.contains("deploy --os") {
            assert_eq!(self.local_edit(), mine, "local edit after {:#?}", self.story);
        }
    }

    /// What the administrator wrote into the `etc` of the deployment that boots next.
    fn local_edit(&self) -> Option<String> {
        if self.count() == 0 {
            return None;
        }
        fs::read_to_string(self.site.etc("mine")).ok()
    }

    /// Both programs see the same list, and every tree on it is the one of its commit.
    fn check(&self) {
        let text = self.site.agree("admin status");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].contains(" testos ")) {
            let name = pair[0].split_whitespace().nth(1).expect("a name follows the stateroot");
            let version = pair[1].trim().strip_prefix("Version: ").expect("commits have versions");
            let path = format!("sysroot/ostree/deploy/testos/deploy/{name}/usr/share/version");
            let found = fs::read_to_string(self.site.path(&path));
            let expected = if version == "1" { None } else { Some(version.to_string()) };
            assert_eq!(found.ok(), expected, "{name} after {:#?}", self.story);
        }
    }
}

/// Guards that either program may follow the other at any time: the lists agree, every listed
/// tree is whole, local edits travel, and the repository passes both checks.
#[test]
fn both_programs_work_on_one_sysroot_in_any_order() {
    if !need_ostree() {
        return;
    }
    for seed in 0..SEQUENCES {
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
            model.check();
        }
        for program in [TREFOIL, "ostree"] {
            let said = model.site.run(program, "fsck --repo=sysroot/ostree/repo");
            assert!(said.ok, "seed {seed}: {:#?}: {said:?}", model.story);
        }
    }
}
