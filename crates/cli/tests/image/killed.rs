//! `image update`, killed at random moments.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::{Lab, can_attach, tool};

const SEED: u64 = 20_261_125;
/// Twenty were run when this was written; this many keep the suite quick.
const ROUNDS: u32 = 8;

/// Numbers that look random and are the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Guards: a kill at any moment leaves a sound file system with the old or the new version to
/// boot, whole; nothing stays attached; and the next update succeeds.
#[test]
fn a_killed_update_leaves_old_or_new() {
    if !can_attach(&["ostree", "mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(200);
    lab.create(&["--spare"]);
    lab.commit(2);
    let timed_update = || {
        let start = Instant::now();
        lab.update(&[]);
        start.elapsed()
    };
    let mut whole = timed_update();
    let mut random = Random(SEED);
    let (mut old, mut new, mut late) = (0, 0, 0);
    for version in 3..3 + ROUNDS {
        lab.commit(version);
        let mut child = lab
            .command(&["image", "update", "disk.img", "os"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let micros = u64::try_from(whole.as_micros() * 5 / 4).expect("an update takes no years");
        sleep(Duration::from_micros(random.next() % micros));
        late += u32::from(child.try_wait().expect("it is our child").is_some());
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        lab.check_ext4();
        match booting(&lab) {
            found if found == version => new += 1,
            found if found == version - 1 => old += 1,
            found => {
                panic!("version {found} boots after an update from {} to {version}", version - 1)
            }
        }
        // Other work makes the machine faster and slower; the next kill follows it.
        whole = timed_update();
        assert_eq!(booting(&lab), version);
    }
    eprintln!("seed {SEED}: {old} times the old version, {new} the new; {late} ended before");
    assert!(old > 0, "every kill came too late to show anything");
}

/// The version that boots, after its tree was compared with its commit.
fn booting(lab: &Lab) -> u32 {
    lab.mounted("disk.img", |root| {
        let sysroot = format!("--sysroot={}", root.display());
        let current = tool("ostree", &["admin", "--print-current-dir", &sysroot], root);
        let tree = std::path::PathBuf::from(current.trim());
        let name = tree.file_name().and_then(|n| n.to_str()).expect("a deployment has a name");
        let commit = name.split('.').next().expect("split gives something").to_string();
        let repo = format!("--repo={}", root.join("ostree/repo").display());
        let differing = tool("ostree", &["diff", &repo, &commit, current.trim()], root);
        // The deployment has an /etc of its own.
        let differing: Vec<_> = differing.lines().filter(|l| !l.starts_with("A    etc")).collect();
        assert!(differing.is_empty(), "the tree is not that of its commit: {differing:?}");
        let version = std::fs::read_to_string(tree.join("usr/lib/version")).expect("it is there");
        version.trim().parse().expect("a version is a number")
    })
}
