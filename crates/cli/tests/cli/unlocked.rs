//! A running system whose `/usr` is made writable.

use std::fs;

use crate::booted::Booted;
use crate::site::REF;

/// What a shell does in one go while the overlay is mounted over the host's programs.
fn unlock_and(booted: &Booted, option: &str, then: &str) -> crate::support::Said {
    let script = format!("trefoil admin unlock {option}; {then}");
    booted.run(&["sh", "-c", &script])
}

/// Guards `unlock`: the overlay takes what is written, the tree stays as it was, both programs
/// show the state, and a second time is refused.
#[test]
fn until_the_next_boot() {
    let Some(mut booted) = Booted::new() else { return };
    let said = unlock_and(&booted, "", "echo new > /usr/bin/tool; read x < /usr/bin/tool; echo $x");
    assert!(said.ok, "{said:?}");
    let expected = "Development mode enabled.  A writable overlayfs is now mounted on /usr.\n\
                    All changes there will be discarded on reboot.\nnew\n";
    assert_eq!(said.out, expected);
    assert!(!fs::read_to_string(booted.root.join("usr/bin/tool")).expect("there").contains("new"));
    assert!(booted.status().contains("    Unlocked: development\n"));
    let said = booted.try_ours("unlock");
    let expected = "error: Deployment is already in unlocked state: development";
    assert_eq!(said.error_line(), expected);
    booted.boot();
    assert!(!booted.status().contains("Unlocked"));
    let said = unlock_and(&booted, "--transient", "echo new > /usr/bin/tool");
    assert!(!said.ok && said.err.contains("Read-only file system"), "{said:?}");
    let view = booted.ours("status --json").out;
    assert!(view.contains("\"unlocked\": \"transient\""), "{view}");
    let said = booted.try_ours("unlock --hotfix --transient");
    assert_eq!(said.error_line(), "error: Cannot specify both --hotfix and --transient");
}

/// Guards a hotfix: there is an untouched copy to go back to, what was changed lives on in the
/// tree, and the tree is never recycled.
#[test]
fn for_good() {
    let Some(mut booted) = Booted::new() else { return };
    let said = unlock_and(&booted, "--hotfix", "echo fixed > /usr/bin/tool");
    assert!(said.ok, "{said:?}");
    let status = booted.status();
    assert!(status.contains("    Unlocked: hotfix\n"), "{status}");
    assert!(status.contains(".1 (rollback)\n"), "{status}");
    let upper = booted.root.join(".usr-ovl-upper/bin/tool");
    assert_eq!(fs::read_to_string(upper).expect("kept"), "fixed\n");
    let origin = fs::read_to_string(booted.root.with_extension("0.origin")).expect("an origin");
    assert!(origin.contains("unlocked=hotfix\n"), "{origin}");

    let hotfixed = booted.root.clone();
    for version in ["3", "4", "5"] {
        booted.update(version);
        booted.ours(&format!("deploy origin:{REF}"));
        booted.boot();
        assert!(!booted.root.join(".usr-ovl-upper").exists(), "version {version}");
        assert_eq!(booted.in_default("usr/bin/tool"), version);
    }
    assert!(!hotfixed.exists(), "it fell off the list");
}

/// Guards that a hotfix of libostree's is not recycled either, with a spare that is believed.
#[test]
fn a_hotfix_of_theirs_is_never_a_spare() {
    let Some(mut booted) = Booted::new() else { return };
    let origin = booted.root.with_extension("0.origin");
    let text = fs::read_to_string(&origin).expect("an origin");
    fs::write(&origin, format!("{text}unlocked=hotfix\n")).expect("it is ours");
    fs::create_dir(booted.root.join(".usr-ovl-upper")).expect("the tree is ours");
    assert!(booted.status().contains("    Unlocked: hotfix\n"));
    for version in ["3", "4"] {
        booted.update(version);
        booted.ours(&format!("deploy --trust=none origin:{REF}"));
        booted.boot();
    }
    let spares = booted.ours("spare status --os=testos").out;
    assert_eq!(spares, "testos: no spare\n");
}
