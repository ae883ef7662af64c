//! `dev --ssh` by OpenSSH's own client and server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use trefoil_testkit::ostree::{is_root, missing};

use crate::dev::{deployed, dev, next_to_boot, outcome};
use crate::site::{Site, TREFOIL};

const SSHD: &str = "/usr/sbin/sshd";

/// Whether a server can be run where the ports of this machine are not taken.
fn can_serve() -> bool {
    let has = |program: &str, option: &str| {
        let mut command = Command::new(program);
        command.arg(option).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if !is_root() || !has("ip", "-V") || !has("ssh", "-V") || !Path::new(SSHD).exists() {
        missing("a real sshd needs root, openssh-server, openssh-client and iproute2");
        return false;
    }
    // Debian makes it when the service starts.
    fs::create_dir_all("/run/sshd").expect("root may make it");
    true
}

fn program(site: &Site, name: &str, script: &str) {
    let path = site.path("tools").join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A machine `vm` that only ssh reaches: a server for each connection, in a network of its own.
fn machine(site: &Site) {
    let dir = site.path("");
    let dir = dir.display();
    fs::create_dir(site.path("tools")).expect("the folder is ours");
    for key in ["host", "user"] {
        let args = ["-q", "-t", "ed25519", "-N", "", "-f", key];
        let made = Command::new("ssh-keygen").args(args).current_dir(site.path("")).status();
        assert!(made.expect("ssh-keygen runs").success());
    }
    let server = format!(
        "HostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPidFile none\n"
    );
    fs::write(site.path("sshd_config"), server).expect("the folder is ours");
    program(
        site,
        "server",
        // Nobody answers while it boots: twice it is asked in vain.
        &format!(
            "if [ -e {dir}/down ]; then sed -i 1d {dir}/down; [ -s {dir}/down ] || rm {dir}/down; exit 1; fi\n\
             ip link set lo up && exec {SSHD} -i -e -f {dir}/sshd_config 2>>{dir}/sshd.log"
        ),
    );
    let client = format!(
        "Host *\nUser root\nIdentityFile {dir}/user\nIdentitiesOnly yes\nLogLevel ERROR\n\
         UserKnownHostsFile {dir}/known\nStrictHostKeyChecking accept-new\n\
         ProxyCommand unshare --net {dir}/tools/server\n"
    );
    fs::write(site.path("ssh_config"), client).expect("the folder is ours");
    // Ours is found first, and brings only where the settings are.
    program(site, "ssh", &format!("exec /usr/bin/ssh -F {dir}/ssh_config \"$@\""));
    let programs = Path::new(TREFOIL).parent().expect("it has one").display();
    // The sysroot is not what runs, so nothing reboots by itself. What a reboot looks like from
    // outside: the connection is gone without a farewell, and then the machine runs the commit.
    program(
        site,
        "upgrade",
        &format!(
            "export OSTREE_SYSROOT={dir}/sysroot OSTREE_SYSROOT_DEBUG=mutable-deployments\n\
             export PATH={programs}:$PATH\n\
             if [ -s {dir}/report ]; then sed s/deployed/booted/ {dir}/report; fi\n\
             trefoil admin upgrade --os=testos \"$@\" | tee {dir}/report\n\
             case \"$*\" in *apply=reboot*) ;; *) exit ;; esac\n\
             if [ -s {dir}/report ]; then printf 'a\\nb\\n' >{dir}/down; kill -KILL $PPID; fi"
        ),
    );
}

fn command(site: &Site) -> String {
    let upgrade = site.path("tools/upgrade");
    format!(
        "--ssh-command=exec {} --follow={{url}} --once --json --apply={{apply}}",
        upgrade.display()
    )
}

/// Guards machines without an agent, by a real server: the port is carried along, and free again
/// for the next round; what the machine reports is a round.
#[test]
fn a_real_sshd_carries_upgrades() {
    if !can_serve() {
        return;
    }
    let site = deployed();
    machine(&site);
    let (mut host, _) = dev(&site, 0, &["--ssh=vm", &command(&site)]);
    for version in ["two", "three"] {
        site.tree.write("usr/bin/tool", version);
        let round = host.json();
        assert_eq!(outcome(&round), "deployed", "{round}");
        assert_eq!(next_to_boot(&site), round["commit"]);
    }
    let end = host.end();
    assert!(end.ends_with("ended after 2 rounds\n"), "{end}");
}

/// Guards a reboot: it takes the connection with it, which is no failure; the machine is asked
/// until it runs the commit, also where an edit came while nobody answered.
#[test]
fn a_reboot_takes_the_connection_with_it() {
    if !can_serve() {
        return;
    }
    let site = deployed();
    machine(&site);
    let (mut host, _) = dev(&site, 0, &["--ssh=vm", "--apply=reboot", &command(&site)]);
    site.tree.write("usr/bin/tool", "two");
    host.word("deployed, booting");
    site.tree.write("usr/bin/tool", "three");
    // Whether it was still asked of the first round is a matter of milliseconds.
    let mut round = host.json();
    if round["round"] == 1 {
        assert!(["booted", "superseded"].contains(&outcome(&round)), "{round}");
        round = host.json();
    }
    assert_eq!((outcome(&round), &round["round"]), ("booted", &2.into()), "{round}");
    assert_eq!(next_to_boot(&site), round["commit"]);
    assert!(!site.path("down").exists());
    let end = host.end();
    assert!(!end.contains("the upgrade ended with"), "{end}");
}
