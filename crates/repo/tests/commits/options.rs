use std::fs;

use trefoil_repo::RepoMode;
use trefoil_repo::commit::{CommitModifier, SkipList, StatOverrides};

use crate::bench::{Bench, have_ostree, modes};
use crate::sample::{mkdir, sample};

/// Each option changes owner, mode and attributes as libostree does.
#[test]
fn every_option_gives_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    type Case<'a> = (&'a [&'a str], fn() -> CommitModifier);
    let cases: [Case<'_>; 6] = [
        (&["--owner-uid=7"], || CommitModifier { owner_uid: Some(7), ..Default::default() }),
        (&["--owner-uid=0", "--owner-gid=0"], || CommitModifier {
            owner_uid: Some(0),
            owner_gid: Some(0),
            ..Default::default()
        }),
        (&["--no-xattrs"], || CommitModifier { skip_xattrs: true, ..Default::default() }),
        (&["--canonical-permissions"], || CommitModifier {
            canonical_permissions: true,
            ..Default::default()
        }),
        (&["--mode-ro-executables"], || CommitModifier {
            mode_ro_executables: true,
            ..Default::default()
        }),
        (&["--mode-ro-executables", "--no-xattrs", "--owner-gid=3"], || CommitModifier {
            mode_ro_executables: true,
            skip_xattrs: true,
            owner_gid: Some(3),
            ..Default::default()
        }),
    ];
    for mode in modes() {
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        for (options, modifier) in cases {
            bench.same(&["tree"], options, &modifier());
            bench.same(&["ref=main", "tree", "ref=main"], options, &modifier());
        }
        // An unchanged tree, then everything changed on its way from one commit to the next.
        bench.same(&["tree"], &[], &CommitModifier::default());
        for (options, modifier) in cases {
            bench.same(&["ref=main"], options, &modifier());
        }
    }
}

/// The lists by path, with libostree's habits: decimal modes, added modes used up by the first
/// that matches and without effect on directories, skips that work once.
#[test]
fn lists_by_path_work_as_libostrees() {
    if !have_ostree() {
        return;
    }
    let overrides = "+2048 /empty\n=384 /open\n+1024 /usr\n=448 /usr/empty\n0x40 /a/same\n+512 /\n";
    let skips = "/usr/bin\n/dangling\n/with space\n";
    for mode in modes() {
        if mode == RepoMode::BareUserOnly {
            continue; // Squashes what this looks at.
        }
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        fs::write(bench.path("overrides"), overrides).unwrap();
        fs::write(bench.path("skips"), skips).unwrap();
        let over = format!("--statoverride={}", bench.path("overrides").display());
        let skip = format!("--skip-list={}", bench.path("skips").display());
        let modifier = || CommitModifier {
            stat_overrides: StatOverrides::parse(overrides).unwrap(),
            skip_list: SkipList::parse(skips),
            ..Default::default()
        };
        let used = modifier();
        bench.same(&["tree"], &[&over, &skip], &used);
        assert!(used.unmatched_overrides().is_empty() && used.unmatched_skips().is_empty());
        bench.same(&["tree", "tree"], &[&over, &skip], &modifier());
        bench.same(&["tree"], &[], &CommitModifier::default());
        bench.same(&["ref=main"], &[&over, &skip], &modifier());
    }
}

/// What was asked for and never met is reported; what is malformed is refused.
#[test]
fn unmatched_and_malformed_lists_are_told() {
    let bench = match have_ostree() {
        true => Bench::new(RepoMode::Archive),
        false => return,
    };
    mkdir(&bench.path("tree"), "", 0o755);
    let modifier = CommitModifier {
        stat_overrides: StatOverrides::parse("+1 /z\n\n+1 /b\n=1 /c").unwrap(),
        skip_list: SkipList::parse("/s/\n"),
        ..Default::default()
    };
    bench.commit(&["tree"], &modifier).unwrap();
    assert_eq!(modifier.unmatched_overrides(), ["/b", "/z"]);
    assert_eq!(modifier.unmatched_skips(), ["/s/"]);
    for bad in ["/path", "abc /path", "=99999 /path", "-1 /path", " /path"] {
        assert!(StatOverrides::parse(bad).is_err(), "{bad:?}");
    }
}
