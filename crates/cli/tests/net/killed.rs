//! A pull that is killed, again and again, and goes on each time.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trefoil_testkit::ostree::Ostree;

use crate::ground::Ground;
use crate::web::{Reply, Seen, Web};

/// Eight requests at once, and a few that are just being written: what a kill may cost.
const UNDER_WAY: u64 = 12;
/// The server takes so long for each object that nothing waits to be written.
const SERVED: Duration = Duration::from_millis(4);

/// Numbers that look random and are the same for the same seed (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Ends the child at the object of that number, a little later.
struct Deadline {
    child: Option<Child>,
    left: u64,
    pause: Duration,
}

/// Pulls until it is killed, or done: then true.
fn attempt(ground: &Ground, server: &Web, repo: &str, after: u64, pause: Duration) -> bool {
    let deadline = Arc::new(Mutex::new(Deadline { child: None, left: after, pause }));
    let shared = Arc::clone(&deadline);
    server.answer(move |seen: &Seen| {
        let mut deadline = shared.lock().expect("no holder panics");
        if seen.is_object() {
            std::thread::sleep(SERVED);
        }
        if seen.is_object() && deadline.left > 0 {
            deadline.left -= 1;
            if deadline.left == 0 {
                std::thread::sleep(deadline.pause);
                deadline.child.as_mut().map(Child::kill);
            }
        }
        Reply::File
    });
    let repo = format!("--repo={repo}");
    let mut command = ground.command(&["pull", &repo, "origin", "main"], &[]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    deadline.lock().expect("no holder panics").child = Some(child);
    let started = Instant::now();
    loop {
        let ended = {
            let mut deadline = deadline.lock().expect("no holder panics");
            deadline.child.as_mut().expect("it was started").try_wait().expect("it is ours")
        };
        if let Some(status) = ended {
            use std::os::unix::process::ExitStatusExt;
            assert!(status.success() || status.signal() == Some(9), "{status}");
            return status.success();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Killed at any point and taken up again: no object is fetched twice, but for the few that were
/// under way; what is there is whole at every point, for libostree too.
#[test]
fn a_killed_pull_goes_on() {
    let seed = std::env::var("TREFOIL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(0x5eed_0004);
    eprintln!("TREFOIL_SEED={seed}");
    let mut numbers = Numbers(seed);
    let ground = Ground::new();
    ground.tree(60);
    // Longer than what is held in memory, and nothing that can be packed.
    let noise: String = (0..600_000).map(|_| char::from(33 + numbers.below(60) as u8)).collect();
    ground.write("large", &noise);
    let commit = ground.commit("main");
    let server = Web::start(&ground.path("srv"));
    for mode in ["archive", "bare-user"] {
        ground.must(&format!("init --repo={mode} --mode={mode}"));
        ground.must(&format!("config --repo={mode} set core.min-free-space-percent 0"));
        let url = server.url("repo");
        ground.must(&format!("remote add --repo={mode} --no-sign-verify origin {url}"));
        let mut kills = 0;
        loop {
            let (after, pause) = (1 + numbers.below(60), numbers.below(6));
            if attempt(&ground, &server, mode, after, Duration::from_millis(pause)) {
                break;
            }
            kills += 1;
            assert!(kills < 100, "it never comes to an end");
            assert_eq!(ground.must(&format!("refs --repo={mode}")).out, "");
            ground.must(&format!("fsck --repo={mode} -q"));
        }
        assert!(kills > 2, "killed {kills} times only");
        let mut asked: BTreeMap<String, u64> = BTreeMap::new();
        for seen in server.take().into_iter().filter(Seen::is_object) {
            // Whether there are signatures is asked each time.
            if !seen.path.ends_with(".commitmeta") {
                *asked.entry(seen.path).or_default() += 1;
            }
        }
        let (objects, total) = (asked.len() as u64, asked.values().sum::<u64>());
        eprintln!("{mode}: {kills} kills, {objects} objects, {total} requests");
        assert!(total <= objects + kills * UNDER_WAY, "{total} requests for {objects} objects");
        let tip = ground.must(&format!("rev-parse --repo={mode} origin:main")).out;
        assert_eq!(tip.trim(), commit);
        ground.must(&format!("fsck --repo={mode} -q"));
        if let Some(ostree) = Ostree::find() {
            let repo = format!("--repo={}", ground.path(mode).display());
            ostree.run(&[&repo, "fsck", "-q"]);
        }
        let left = std::fs::read_dir(ground.path(&format!("{mode}/tmp"))).expect("tmp");
        let left: Vec<_> = left
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("staging-"))
            .collect();
        assert!(left.iter().all(|name| name.ends_with("-lock")), "left behind: {left:?}");
    }
}
