//! The verbs of `admin`, on a sysroot that the real `ostree` reads as well.

use std::fs;
use std::process::Command;

use crate::site::{REF, Site, TREFOIL};
use crate::support::need_ostree;

/// Guards the text of the list, which scripts and people read, through changes of every kind.
#[test]
fn status_is_what_ostree_prints() {
    if !need_ostree() {
        return;
    }
    let site = Site::new();
    assert_eq!(site.agree("admin status"), "No deployments.\n");
    let first = site.deploy("--karg=root=LABEL=X --karg=quiet");
    assert!(first.out.contains("Bootloader updated; bootconfig swap: yes;"), "{first:?}");
    site.agree("admin status");
    site.tree.write("usr/bin/tool", "second");
    site.commit("2");
    site.pull();
    site.must("admin pin 0");
    assert_eq!(site.must("admin pin 0").out, "Deployment 0 is already pinned\n");
    let second = site.deploy("--retain");
    let copying = "Copying /etc changes: 0 modified, 0 removed, 0 added\n";
    assert!(second.out.starts_with(copying), "{second:?}");
    let text = site.agree("admin status");
    assert!(text.contains("    Pinned: yes\n") && text.contains("    `- Title\n"), "{text}");
    site.agree("admin --print-current-dir");
    fs::write(site.etc("os.conf"), "mine").expect("etc is ours");
    fs::write(site.etc("added"), "mine").expect("etc is ours");
    assert_eq!(site.agree("admin config-diff --os=testos"), "M    os.conf\nA    added\n");
    site.must("admin set-default 1");
    site.agree("admin status");
    site.must("admin set-origin --index=0 --set=gpg-verify=false other http://example.com");
    assert!(site.agree("admin status").contains("other:os/main"));
    site.must("admin kargs edit-in-place --append-if-missing=debug");
    site.must("admin instutil set-kargs --merge --append=more=1");
    site.agree("admin status");
    let undeployed = site.must("admin undeploy 1");
    assert!(undeployed.out.contains("\nDeleted deployment "), "{undeployed:?}");
    site.agree("admin status");
    let fsck = site.run("ostree", "fsck --repo=sysroot/ostree/repo");
    assert!(fsck.ok, "{fsck:?}");
    let status = site.json("admin status --json");
    assert_eq!(status["deployments"][0]["stateroot"], "testos");
    assert_eq!(status["deployments"][0]["booted"], false);
}

/// Guards that a plan can be read by people and programs and changes nothing on disk.
#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::new();
    site.deploy("");
    fs::write(site.etc("os.conf"), "mine").expect("etc is ours");
    site.tree.write("usr/etc/os.conf", "default=2\n");
    site.commit("2");
    site.pull();
    let before = site.snapshot();
    let words = format!("admin deploy --os=testos origin:{REF} --dry-run");
    let said = site.must(&words);
    for part in ["tree: Full: ", "os.conf: changed on both sides", "space (data, ", "boot order:"] {
        assert!(said.out.contains(part), "no {part:?} in {said:?}");
    }
    let view = site.json(&format!("{words} --json"));
    assert_eq!(view["dry_run"], true);
    assert_eq!(view["plan"]["etc"]["conflicts"][0]["path"], "os.conf");
    assert_eq!(view["phases"][0]["name"], "plan");
    assert!(view["plan"]["tree"]["links"].as_u64() > Some(0), "{view}");
    let after = site.snapshot();
    let changed: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(before == after, "{changed:?}");
}

/// Guards the account of a deploy, and that conflicts are named where people see them.
#[test]
fn a_deploy_gives_an_account() {
    let site = Site::new();
    site.deploy("");
    fs::write(site.etc("os.conf"), "mine").expect("etc is ours");
    site.tree.write("usr/etc/os.conf", "default=2\n");
    site.commit("2");
    site.pull();
    let said = site.deploy("--timings");
    assert!(said.err.contains("warning: /etc/os.conf: changed on both sides"), "{said:?}");
    let head = said.out.lines().find(|line| line.starts_with("phase")).expect("a table");
    let words: Vec<&str> = head.split_whitespace().collect();
    let expected = ["phase", "time", "links", "removals", "bytes", "syncs", "system", "calls"];
    assert_eq!(words, expected);
    site.tree.write("usr/bin/tool", "third");
    site.commit("3");
    site.pull();
    let view = site.json(&format!("admin deploy --os=testos origin:{REF} --json"));
    assert_eq!(view["report"]["stateroot"], "testos");
    let names: Vec<&str> = view["phases"]
        .as_array()
        .expect("phases")
        .iter()
        .filter_map(|phase| phase["name"].as_str())
        .collect();
    assert!(names.contains(&"tree") && names.contains(&"boot"), "{names:?}");
}

/// Guards the life of a spare as the verbs show it: kept, used, made, checked, dropped.
#[test]
fn a_spare_is_kept_used_and_dropped() {
    let site = Site::new();
    site.deploy("");
    assert_eq!(site.must("admin spare status").out, "testos: no spare\n");
    for version in ["2", "3"] {
        site.tree.write("usr/bin/tool", version);
        site.commit(version);
        site.pull();
        site.deploy("");
    }
    assert_eq!(site.json("admin spare status --json")["state"], "sealed");
    site.tree.write("usr/bin/tool", "4");
    site.commit("4");
    site.pull();
    let view = site.json(&format!("admin deploy --os=testos origin:{REF} --json --trust=full"));
    assert_eq!(view["report"]["method"], "recycle", "{view}");
    assert_eq!(fs::read_to_string(site.etc("../usr/bin/tool")).expect("deployed"), "4");
    let said = site.must("admin spare verify --trust=full");
    assert_eq!(said.out, "testos: the spare is as sealed (checked: full)\n");
    assert_eq!(site.must("admin spare drop").out, "testos: spare dropped\n");
    let said = site.trefoil("admin spare verify");
    assert!(!said.ok && said.err.starts_with("error: stateroot testos has no spare"), "{said:?}");
    assert_eq!(site.must("admin spare prepare").out, "testos: spare made\n");
    assert_eq!(site.json("admin spare prepare --json")["changed"], false);
    let said = site.trefoil(&format!("admin deploy --os=testos origin:{REF} --no-recycle"));
    assert!(said.err.contains("full checkout: a full checkout was asked for"), "{said:?}");
}

/// Guards the mode for small disks: two trees at all times, the older one recycled.
#[test]
fn two_buffers_recycle_the_rollback() {
    let site = Site::new();
    site.deploy("");
    let words = format!("admin deploy --os=testos origin:{REF} --two-buffers --json");
    for (version, method) in [("2", "full"), ("3", "recycle"), ("4", "recycle")] {
        site.tree.write("usr/bin/tool", version);
        site.commit(version);
        site.pull();
        let view = site.json(&words);
        assert_eq!(view["report"]["method"], method, "{version}: {view}");
        let found = fs::read_to_string(site.etc("../usr/bin/tool")).expect("deployed");
        assert_eq!(found, version);
        assert_eq!(site.must("admin spare status").out, "testos: no spare\n");
        let status = site.json("admin status --json");
        assert_eq!(status["deployments"].as_array().map(Vec::len), Some(2));
    }
}

/// Guards that an upgrade follows its origin forwards only, and that what needs a network or
/// staging is refused.
#[test]
fn upgrades_follow_the_origin() {
    let site = Site::new();
    let first = site.must(&format!("rev-parse --repo=source {REF}")).out.trim().to_string();
    site.deploy("");
    assert_eq!(site.must("admin upgrade --os=testos").out, "No update available.\n");
    site.tree.write("usr/bin/tool", "2");
    let second = site.commit("2");
    site.must("admin upgrade --os=testos --pull-only");
    assert!(!site.must("admin status").out.contains(&second));
    site.must("admin upgrade --os=testos --deploy-only");
    assert!(site.must("admin status").out.starts_with(&format!("  testos {second}.0")));
    let older = format!("admin upgrade --os=testos --override-commit={first}");
    let said = site.trefoil(&older);
    assert!(said.err.contains("is chronologically older than current revision"), "{said:?}");
    site.must(&format!("{older} --allow-downgrade"));
    assert!(site.must("admin status").out.starts_with(&format!("  testos {first}.")));
    site.must("admin rollback --os=testos");
    assert!(site.must("admin status").out.starts_with(&format!("  testos {second}.0")));
    site.must("commit --repo=source -b os/next --tree=dir=tree --timestamp=@900000000");
    site.must("admin switch --os=testos os/next");
    let status = site.must("admin status").out;
    assert!(status.contains("origin refspec: origin:os/next\n"), "{status}");
    let refs = site.must("refs --repo=sysroot/ostree/repo").out;
    assert!(refs.contains("origin:os/next\n") && !refs.contains("origin:os/main\n"), "{refs}");
    for (words, expected) in [
        ("upgrade", "error: Not currently booted into an OSTree system and no OS specified"),
        (
            "upgrade --os=testos --stage",
            "error: Cannot stage deployment: Not currently booted into an OSTree system",
        ),
        (
            "upgrade --os=testos --pull-only --deploy-only",
            "error: Cannot simultaneously specify --pull-only and --deploy-only",
        ),
    ] {
        assert_eq!(site.trefoil(&format!("admin {words}")).error_line(), expected);
    }
}

/// Guards that bad input is refused with a clear word and changes nothing.
#[test]
fn bad_input_changes_nothing() {
    let site = Site::new();
    site.deploy("");
    let before = site.snapshot();
    for (words, expected) in [
        ("deploy", "error: REF/REV must be specified"),
        ("deploy --os=testos nosuch", "error: Refspec 'nosuch' not found"),
        ("deploy --os=other origin:os/main", "error: No such stateroot: other"),
        (
            "deploy origin:os/main",
            "error: Not currently booted into an OSTree system and no --os= argument given",
        ),
        (
            "deploy --os=testos --stage origin:os/main",
            "error: Cannot stage deployment: Not currently booted into an OSTree system",
        ),
        (
            "deploy --karg-none --karg-delete=a origin:os/main",
            "error: Can't specify both --karg-none and --karg-delete",
        ),
        ("undeploy", "error: INDEX must be specified"),
        ("undeploy x", "error: Invalid index: x"),
        ("undeploy 7", "error: Out of range deployment index 7, expected < 1"),
        ("pin booted", "error: Deployment type not found: booted"),
        ("rollback --os=testos", "error: stateroot testos has no deployment to roll back to"),
        ("unlock", "error: Not currently booted into an OSTree system"),
        ("lock-finalization", "error: No staged deployment"),
        ("nosuch", "error: Unknown \"admin\" subcommand 'nosuch'"),
    ] {
        let said = site.trefoil(&format!("admin {words}"));
        assert!(!said.ok, "{words}: {said:?}");
        assert_eq!(said.error_line(), expected, "{words}");
    }
    let stateroots = |lines: &[String]| lines.iter().filter(|l| l.contains("deploy/")).count();
    assert_eq!(stateroots(&before), stateroots(&site.snapshot()));
}

/// Guards the list of verbs and the options of the verb most used: docs and shells read them.
#[test]
fn help_names_every_verb_and_option() {
    let help = |words: &[&str]| {
        let output = Command::new(TREFOIL).args(words).arg("--help").output();
        let text = output.expect("the program can be started").stdout;
        String::from_utf8(text).expect("help is UTF-8")
    };
    let verbs: Vec<String> = help(&["admin"])
        .lines()
        .skip_while(|line| !line.starts_with("Builtin"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_string))
        .collect();
    let expected = "cleanup config-diff deploy init-fs kargs os-init stateroot-init pin rollback \
                    set-default set-origin spare status switch undeploy upgrade lock-finalization \
                    post-copy unlock";
    assert_eq!(verbs.join(" "), expected);
    let text = help(&["admin", "deploy"]);
    let options: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .map(|word| word.split('=').next().unwrap_or(word))
        .collect();
    for option in "--os --stateroot --origin-file --no-prune --no-merge --retain --retain-pending \
                   --retain-rollback --not-as-default --karg-proc-cmdline --karg --karg-append \
                   --karg-none --karg-delete --stage --lock-finalization --dry-run --trust --no-recycle --two-buffers --json --timings \
                   --sysroot"
        .split_whitespace()
    {
        assert!(options.contains(&option), "{option} is not in {text}");
    }
    if need_ostree() {
        let theirs = Command::new("ostree").args(["admin", "--help"]).output();
        let theirs = theirs.expect("ostree can be started").stdout;
        for line in String::from_utf8_lossy(&theirs).lines().filter(|l| l.starts_with("  ")) {
            let verb = line.split_whitespace().next().unwrap_or_default();
            if verb.starts_with('-') || verb == "ostree" {
                continue;
            }
            let known = Command::new(TREFOIL).args(["admin", verb, "--help"]).output();
            assert!(known.expect("it can be started").status.success(), "admin {verb}");
        }
    }
}

/// Guards that a check says what an upgrade would bring, and changes nothing, not even a ref.
#[test]
fn a_check_only_looks() {
    let site = Site::new();
    site.deploy("");
    let check = "admin upgrade --os=testos --check";
    let before = site.snapshot();
    assert_eq!(site.must(check).out, "No update available.\n");
    assert_eq!(site.json(&format!("{check} --json"))["available"], false);
    site.tree.write("usr/bin/tool", "2");
    let second = site.commit("2");
    assert_eq!(
        site.must(check).out,
        format!(
            "Update available: origin:{REF}\n  Commit: {second}\n  Version: 2\n  \
             Timestamp: 2001-09-09T01:46:42Z\n"
        )
    );
    let view = site.json(&format!("{check} --json"));
    assert_eq!((&view["available"], &view["version"]), (&true.into(), &"2".into()));
    assert_eq!(view["checksum"], second);
    assert_eq!(before, site.snapshot());
    for more in ["--reboot", "--pull-only", "--deploy-only", "--stage"] {
        let said = site.trefoil(&format!("{check} {more}"));
        assert!(said.error_line().starts_with("error: Cannot simultaneously specify --check"));
    }
    // What an upgrade would refuse is refused.
    site.must("admin upgrade --os=testos");
    assert_eq!(site.must(check).out, "No update available.\n");
    site.must(&format!(
        "commit --repo=source -b {REF} --tree=dir=tree --timestamp=@900000000 \
         --add-metadata-string=x=y"
    ));
    let said = site.trefoil(check);
    assert!(said.err.contains("is chronologically older than current revision"), "{said:?}");
    assert!(site.must(&format!("{check} --allow-downgrade")).out.starts_with("Update available"));
    // A ref that came to its end leads on.
    site.must(
        "commit --repo=source -b os/next --tree=dir=tree --timestamp=@1100000000 \
         --add-metadata-string=version=9",
    );
    site.must(&format!(
        "commit --repo=source -b {REF} --tree=dir=tree --timestamp=@1050000000 \
         --add-metadata-string=ostree.endoflife-rebase=os/next"
    ));
    assert!(site.must(check).out.contains("origin:os/next\n"));
}
