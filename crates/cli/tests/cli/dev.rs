//! The loop of a developer: `dev` here, `admin upgrade --follow` on a sysroot.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::booted::Booted;
use crate::site::{REF, Site, TREFOIL};
use crate::support::need_ostree;

/// A program that runs until it is told to end. Killed if the test fails before.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(site: &Site, words: &[&str]) -> Running {
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = std::path::Path::new(TREFOIL).parent().expect("it has one").display();
        let mut child = Command::new(TREFOIL)
            .args(words)
            .current_dir(site.path(""))
            .env("PATH", format!("{}:{programs}:{path}", site.path("tools").display()))
            .env("OSTREE_SYSROOT", site.path("sysroot"))
            .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let out = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let err = BufReader::new(child.stderr.take().expect("it is a pipe"));
        Running { child, out, err }
    }

    /// The next line of its standard output.
    pub fn json(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it can be read");
        serde_json::from_str(&line).unwrap_or_else(|e| {
            let _ = self.child.kill();
            let mut words = String::new();
            let _ = self.err.read_to_string(&mut words);
            panic!("{e}: {line:?}; it said {words}")
        })
    }

    /// Waits for words that have `part` in them.
    pub fn word(&mut self, part: &str) {
        self.any_word(&[part]);
    }

    fn any_word(&mut self, parts: &[&str]) {
        let mut said = String::new();
        loop {
            let start = said.len();
            let n = self.err.read_line(&mut said).expect("it can be read");
            assert!(n > 0, "it ended without {parts:?}: {said}");
            if parts.iter().any(|part| said[start..].contains(part)) {
                return;
            }
        }
    }

    /// Ends it as an administrator would, and gives its last words.
    pub fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let mut words = String::new();
        self.err.read_to_string(&mut words).expect("it can be read");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{words}");
        words
    }
}

/// The loop on the tree of a site, and its address. `port` 0 is any.
pub fn dev(site: &Site, port: u16, more: &[&str]) -> (Running, u16) {
    let _ = fs::remove_file(site.path("port"));
    let words = format!(
        "dev tree --ref={REF} --repo=source --listen=127.0.0.1:{port} --port-file=port --json \
         --settle=150"
    );
    let words: Vec<&str> = words.split(' ').chain(more.iter().copied()).collect();
    let mut running = Running::start(site, &words);
    // The tree was looked at: an edit from here on is a round of its own.
    running.any_word(&["up to date at", " changed, "]);
    let port = fs::read_to_string(site.path("port")).expect("it was written by then");
    (running, port.trim().parse().expect("a number"))
}

fn follow(site: &Site, port: u16) -> Running {
    let url = format!("http://127.0.0.1:{port}/");
    let follow = format!("--follow={url}");
    let words = ["admin", "upgrade", "--os=testos", &follow, "--json"];
    let mut running = Running::start(site, &words);
    running.word(&format!("following {REF} at {url}"));
    running
}

/// Checks that the phases of a round add up, and gives how it ended.
pub fn outcome(round: &Value) -> &str {
    let phases = ["settled_ms", "committed_ms", "pulled_ms", "deployed_ms", "booted_ms"];
    let sum: u64 = phases.iter().filter_map(|phase| round[phase].as_u64()).sum();
    assert_eq!(Some(sum), round["total_ms"].as_u64(), "{round}");
    round["outcome"].as_str().expect("it has one")
}

/// A site whose first version is deployed from its remote.
pub fn deployed() -> Site {
    let site = Site::new();
    site.deploy("--karg=root=LABEL=X");
    site
}

/// The commit that boots next, as both programs say.
pub fn next_to_boot(site: &Site) -> String {
    if need_ostree() {
        site.agree("admin status");
    }
    ours_next(site)
}

fn ours_next(site: &Site) -> String {
    let status = site.json("admin status --json");
    status["deployments"][0]["checksum"].as_str().expect("there is one").to_string()
}

/// Guards the loop: an edit is deployed by the follower and told of by the host, again and
/// again, also by a host that was started anew, and the deploys are those of the spare.
#[test]
fn edits_are_deployed_and_told_of() {
    let site = deployed();
    let (mut host, port) = dev(&site, 0, &[]);
    let mut guest = follow(&site, port);
    for version in ["two", "three"] {
        site.tree.write("usr/bin/tool", version);
        let round = host.json();
        assert_eq!(outcome(&round), "deployed", "{round}");
        assert!(round["deployed_ms"].is_u64() && round["booted_ms"].is_null(), "{round}");
        assert_eq!(round["changed"], 1);
        let commit = site.must(&format!("rev-parse --repo=source {REF}")).out;
        assert_eq!(round["commit"], commit.trim());
        let report = guest.json();
        assert_eq!((&report["state"], &report["commit"]), (&"deployed".into(), &round["commit"]));
        assert_eq!(next_to_boot(&site), commit.trim());
        let tool = site.etc("../usr/bin/tool");
        assert_eq!(fs::read_to_string(tool).expect("it is there"), version);
    }
    assert!(host.end().ends_with("ended after 2 rounds\n"));
    guest.word("asking again");
    site.tree.write("usr/bin/tool", "edited while nobody looked");
    let (mut host, _) = dev(&site, port, &[]);
    let round = host.json();
    assert_eq!(outcome(&round), "deployed", "{round}");
    guest.word("the host answers again");
    assert_eq!(next_to_boot(&site), round["commit"]);
    site.must("fsck --repo=sysroot/ostree/repo");
}

/// Guards the trust: it is the remote's, wherever the commit comes from. What is refused is told
/// once and tried again when the ref moves.
#[test]
fn an_unsigned_commit_is_refused_where_the_remote_wants_signatures() {
    let site = deployed();
    let before = next_to_boot(&site);
    let config = site.path("sysroot/ostree/repo/config");
    let text = fs::read_to_string(&config).expect("a repository has one");
    assert!(text.contains("gpg-verify=false"), "{text}");
    let wanted = text.replace("gpg-verify=false", "gpg-verify=true");
    fs::write(&config, wanted).expect("it is ours");
    let (mut host, port) = dev(&site, 0, &[]);
    let mut guest = follow(&site, port);
    site.tree.write("usr/bin/tool", "unsigned");
    let round = host.json();
    assert_eq!(outcome(&round), "failed", "{round}");
    let error = round["error"].as_str().expect("it says why");
    assert!(error.contains("GPG"), "{error}");
    assert!(round["deployed_ms"].is_null(), "{round}");
    assert_eq!(guest.json()["state"], "failed");
    // libostree's own status wants signatures by now too.
    assert_eq!(ours_next(&site), before);
    // Trusted after all: the same commit is tried again without an edit.
    fs::write(&config, text).expect("it is ours");
    let again = host.json();
    assert_eq!((outcome(&again), &again["commit"]), ("deployed", &round["commit"]));
}

/// Guards what is said where nothing can be followed.
#[test]
fn what_is_missing_is_said() {
    let site = deployed();
    let refused = |words: &str, part: &str, hint: &str| {
        let said = site.trefoil(&format!("admin upgrade --os=testos {words}"));
        assert!(!said.ok && said.error_line().contains(part), "{words}: {said:?}");
        assert!(said.err.contains(hint), "{words}: {said:?}");
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = nobody.local_addr().expect("it has one").port();
    drop(nobody);
    let url = format!("http://127.0.0.1:{port}/");
    refused(&format!("--follow={url} --once"), "127.0.0.1", "");
    refused(&format!("--follow={url} --reboot"), "does not go with --reboot", "--apply=reboot");
    refused("--follow=ftp://x/", "Invalid URI scheme", "");
    refused("--follow=kernel-argument", "no argument trefoil.follow=URL", "");
    let (host, port) = dev(&site, 0, &[]);
    let url = format!("http://127.0.0.1:{port}/");
    refused(&format!("--follow={url}elsewhere --once"), "nothing to follow", "trefoil dev");
    site.must(&format!("admin deploy --os=testos origin:{REF}"));
    let said = site.must(&format!("admin upgrade --os=testos --follow={url} --once"));
    assert_eq!(said.out, "No update available.\n");
    site.must("remote delete --repo=sysroot/ostree/repo origin");
    refused(&format!("--follow={url}"), "Remote \"origin\" not found", "trefoil remote add");
    site.must(&format!("pull-local --repo=sysroot/ostree/repo source {REF}"));
    site.must(&format!("admin deploy --os=testos {REF}"));
    refused(&format!("--follow={url}"), "names no remote", "set-origin");
    host.end();
}

/// Guards machines without an agent: ssh is given the port, and what it prints is the report.
#[test]
fn machines_are_upgraded_over_ssh() {
    let site = deployed();
    fs::create_dir(site.path("tools")).expect("the folder is ours");
    let ssh = site.path("tools/ssh");
    // The machine is this one: its port is the server's already.
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" >>words\nfor last; do :; done\neval \"$last\"\n";
    fs::write(&ssh, script).expect("the folder is ours");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let wrapper = site.path("tools/upgrade");
    fs::write(&wrapper, "#!/bin/sh\nexec trefoil admin upgrade --os=testos \"$@\"\n")
        .expect("the folder is ours");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let command = "--ssh-command=upgrade --follow={url} --once --json";
    let (mut host, port) = dev(&site, 0, &["--ssh=me@vm", command]);
    for version in ["two", "three"] {
        site.tree.write("usr/bin/tool", version);
        let round = host.json();
        assert_eq!(outcome(&round), "deployed", "{round}");
        assert_eq!(next_to_boot(&site), round["commit"]);
    }
    let words = fs::read_to_string(site.path("words")).expect("ssh was run");
    assert!(words.contains(&format!("-R\n127.0.0.1:{port}:127.0.0.1:{port}\nme@vm\n")), "{words}");
    // A machine that is away is said, and no reason to end.
    fs::write(&ssh, "#!/bin/sh\nexit 255\n").expect("the folder is ours");
    site.tree.write("usr/bin/tool", "four");
    host.word("ssh me@vm: the upgrade ended with exit status: 255");
    let end = host.end();
    assert!(end.ends_with("ended after 3 rounds\n"), "{end}");
}

/// Guards a running system: it reboots by what it has, reports that it runs the commit when it
/// does, and a soft reboot that cannot be prepared is a failure that is told.
#[test]
fn a_running_system_reboots_and_reports() {
    let Some(mut booted) = Booted::new() else { return };
    let reboot = booted.site.path("tools/reboot");
    fs::write(&reboot, "#!/bin/sh\necho reboot >>/opt/rebooted\n").expect("the folder is ours");
    fs::set_permissions(&reboot, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let (mut host, port) = dev(&booted.site, 0, &[]);
    let upgrade = |booted: &Booted, apply: &str| {
        let follow = format!("--follow=http://127.0.0.1:{port}/");
        let said = booted.try_ours(&format!("upgrade {follow} --once --json --apply={apply}"));
        let lines = said.out.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        (lines.collect::<Vec<Value>>(), said)
    };
    booted.site.tree.write("usr/bin/tool", "three");
    host.word("1 changed");
    let (reports, said) = upgrade(&booted, "reboot");
    assert!(said.ok, "{said:?}");
    assert_eq!(
        (&reports[0]["state"], &reports[1]["state"]),
        (&"booted".into(), &"deployed".into())
    );
    assert_ne!(reports[0]["commit"], reports[1]["commit"]);
    assert!(booted.site.path("tools/rebooted").exists());
    host.word("deployed, booting");
    booted.boot();
    let (reports, said) = upgrade(&booted, "reboot");
    assert!(said.ok && reports.len() == 1, "{said:?}");
    assert!(reports[0]["booted_ms"].as_u64().is_some_and(|ms| ms > 0), "{reports:?}");
    let round = host.json();
    assert_eq!((outcome(&round), &round["commit"]), ("booted", &reports[0]["commit"]));
    assert!(booted.status().starts_with("* testos"));

    booted.site.tree.write("usr/bin/tool", "four");
    host.word("1 changed");
    let (_, said) = upgrade(&booted, "soft-reboot");
    assert!(!said.ok && said.err.contains("error: preparing the soft reboot"), "{said:?}");
    assert!(said.err.contains("hint: it needs libostree 2025.3"), "{said:?}");
    let round = host.json();
    assert_eq!(outcome(&round), "failed");
    assert!(round["error"].as_str().is_some_and(|e| e.starts_with("soft-reboot did not work")));
}
