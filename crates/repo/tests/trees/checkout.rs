//! Checkout option by option, in every repository mode.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use trefoil_repo::RepoMode;
use trefoil_repo::checkout::{CheckoutMode, CheckoutOptions, Overwrite};

use crate::snapshot::{assert_same, forget_owner_of_links, snapshot};
use crate::support::{Bench, file, modes, varied_tree};

/// Options of the command line, and what they are in the library.
fn options_of(args: &[&str]) -> CheckoutOptions {
    // Without one of the newer options the command line uses the old call and its cache.
    let plain = ["-U", "--union"];
    let mut options = CheckoutOptions {
        uncompressed_cache: args.iter().all(|arg| plain.contains(arg)),
        ..CheckoutOptions::default()
    };
    for arg in args {
        match *arg {
            "-U" => options.mode = CheckoutMode::User,
            "-H" => options.require_hardlinks = true,
            "-C" => options.force_copy = true,
            "-M" => options.bareuseronly_dirs = true,
            "--union" => options.overwrite = Overwrite::UnionFiles,
            "--union-add" => options.overwrite = Overwrite::AddFiles,
            "--union-identical" => options.overwrite = Overwrite::UnionIdentical,
            "--whiteouts" => options.process_whiteouts = true,
            "--process-passthrough-whiteouts" => options.passthrough_whiteouts = true,
            "--disable-cache" => {}
            other => panic!("{other}"),
        }
    }
    options
}

/// Checks `rev` out with both into `theirs` and `ours`, which may be there already, and
/// compares; whether it worked.
#[track_caller]
pub fn compare(bench: &Bench, args: &[&str], rev: &str, subpath: &str) -> bool {
    compare_with(bench, args, options_of(args), rev, subpath)
}

#[track_caller]
fn compare_with(
    bench: &Bench,
    args: &[&str],
    options: CheckoutOptions,
    rev: &str,
    subpath: &str,
) -> bool {
    let what = format!("{} checkout {args:?} {rev} {subpath}", bench.mode);
    let subpath_arg = format!("--subpath={subpath}");
    let mut command = vec!["checkout"];
    command.extend(args);
    if subpath != "/" {
        command.push(&subpath_arg);
    }
    command.extend([rev, "theirs"]);
    let theirs = bench.ostree(&command);
    let ours = bench.checkout(&options, rev, subpath, "ours");
    let said = String::from_utf8_lossy(&theirs.stderr);
    let layered = args.contains(&"--whiteouts") && args.contains(&"--union");
    if layered && ours.is_ok() && !theirs.status.success() {
        // Since 2024 layers may replace any type by any other.
        return false;
    }
    assert_eq!(theirs.status.success(), ours.is_ok(), "{what}: ostree: {said}; ours: {ours:?}");
    if ours.is_ok() {
        let repo = bench.path("repo");
        let mut theirs = snapshot(&repo, &bench.path("theirs"));
        let mut ours = snapshot(&repo, &bench.path("ours"));
        if args.contains(&"--union") {
            // libostree forgets the owner of a symbolic link that replaces another; we do not.
            [&mut theirs, &mut ours].into_iter().for_each(forget_owner_of_links);
        }
        assert_same(&theirs, &ours, &what);
    }
    ours.is_ok()
}

pub fn clean(bench: &Bench) {
    bench.clean(&["theirs", "ours"]);
}

/// Guards type, mode, owner, attributes, content, time and link identity for every
/// combination of the options that decide how a file is made.
#[test]
fn every_mode_and_option() {
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        for user in [&["-U"][..], &[]] {
            for rest in [
                &[][..],
                &["-H"],
                &["-C"],
                &["-M"],
                &["-H", "-M"],
                &["--disable-cache"],
                &["--union"],
                &["--union", "-H"],
                &["--union-add"],
                &["--union-identical"],
                &["--union-identical", "-H"],
                &["--whiteouts"],
                &["--process-passthrough-whiteouts"],
            ] {
                let mut args = user.to_vec();
                args.extend(rest);
                compare(&bench, &args, "tree", "/");
                clean(&bench);
            }
        }
    }
}

/// Guards which path of a subpath checkout becomes what, for directories, files and links,
/// and that a missing one is told apart.
#[test]
fn subpaths() {
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        for subpath in ["/dirs", "dirs", "/dirs/dir-755/inner", "/dangling", "/"] {
            assert!(compare(&bench, &[], "tree", subpath));
            clean(&bench);
        }
        for subpath in ["/nothing", "/dangling/below", "/dirs/dir-755/inner/below"] {
            assert!(!compare(&bench, &[], "tree", subpath));
            let error = bench.checkout(&options_of(&[]), "tree", subpath, "ours").unwrap_err();
            assert!(error.is_not_found(), "{error}");
        }
        // libostree is stricter: it finds neither.
        bench.checkout(&options_of(&[]), "tree", "/dirs/", "ours").unwrap();
        bench.checkout(&options_of(&[]), "tree", "/dirs/../modes", "also-ours").unwrap();
    }
}

/// Guards that a single file can be checked out into the current directory.
#[test]
fn file_into_dot() {
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        bench.checkout(&options_of(&[]), "tree", "/twice/a", ".").unwrap();
        assert_eq!(fs::read(bench.path("a")).unwrap(), b"linked");
    }
}

/// Guards the destination that is there already, with each kind of clash.
#[test]
fn unions() {
    for mode in modes() {
        let bench = Bench::new(mode);
        file(&bench.path("tree/dir/file"), b"new", 0o644);
        file(&bench.path("tree/dir/empty"), b"", 0o644);
        symlink("new", bench.path("tree/dir/link")).unwrap();
        file(&bench.path("tree/other/file"), b"other", 0o644);
        bench.commit("tree");
        let base: &[&str] = match mode {
            RepoMode::Archive => &["-M"],
            RepoMode::BareUser => &["-H", "-U"],
            _ => &["-H"],
        };
        for overwrite in ["--union", "--union-add", "--union-identical"] {
            if mode == RepoMode::Archive && overwrite == "--union-identical" {
                continue;
            }
            for clash in 0..9 {
                prepare(&bench, clash);
                compare(&bench, &[base, &[overwrite]].concat(), "tree", "/");
                clean(&bench);
            }
        }
        prepare(&bench, 0);
        assert!(!compare(&bench, base, "tree", "/"), "the destination is taken");
    }
}

fn prepare(bench: &Bench, clash: usize) {
    for name in ["theirs", "ours"] {
        let at = |rest: &str| bench.path(name).join("dir").join(rest);
        fs::create_dir_all(bench.path(name).join("dir")).unwrap();
        match clash {
            0 => {}
            1 => file(&at("file"), b"old", 0o600),
            2 => file(&at("file"), b"new", 0o644),
            3 => symlink("old", at("link")).unwrap(),
            4 => symlink("new", at("link")).unwrap(),
            5 => file(&at("empty"), b"not empty", 0o644),
            6 => file(&at("empty"), b"", 0o644),
            7 => fs::create_dir(at("file")).unwrap(),
            _ => file(&bench.path(name).join("other"), b"in the way", 0o644),
        }
    }
}

/// Guards that a second checkout over the first is the same as one.
#[test]
fn twice_is_once() {
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        for args in [&["--union"][..], &["-U", "--union"], &["--union-add"]] {
            assert!(compare(&bench, args, "tree", "/"), "{mode} {args:?}");
            assert!(compare(&bench, args, "tree", "/"), "{mode} {args:?}");
            clean(&bench);
        }
    }
}

/// Guards both sorts of whiteouts over a lower layer.
#[test]
fn whiteouts() {
    for mode in modes() {
        let bench = Bench::new(mode);
        let lower = bench.path("lower");
        for name in ["gone", "dir-gone/x", "opaque/old", "kept/x", "file-to-dir", "dir-to-file/x"] {
            file(&lower.join(name), name.as_bytes(), 0o644);
        }
        symlink("gone", lower.join("link-to-file")).unwrap();
        bench.commit("lower");
        let upper = bench.path("upper");
        for name in [".wh.gone", ".wh.dir-gone", "opaque/.wh..wh..opq", ".wh.never-there"] {
            file(&upper.join(name), b"", 0o644);
        }
        for name in ["opaque/new", "link-to-file", "added", "kept/y"] {
            file(&upper.join(name), name.as_bytes(), 0o644);
        }
        file(&upper.join("quoted/.ostree-wh.hidden"), b"", 0o640);
        bench.commit("upper");
        for user in [&["-U"][..], &[]] {
            for rest in [
                &["--union", "--whiteouts"][..],
                &["--union-add", "--whiteouts"],
                &["--union", "--whiteouts", "--process-passthrough-whiteouts"],
                &["--union"],
            ] {
                let mut args = user.to_vec();
                args.extend(rest);
                compare(&bench, &args, "lower", "/");
                compare(&bench, &args, "upper", "/");
                clean(&bench);
            }
        }
    }
}

/// Guards that with whiteouts a layer may replace any type by any other, which libostree learnt
/// after the version at hand.
#[test]
fn layers_replace_any_type() {
    for mode in modes() {
        let bench = Bench::new(mode);
        file(&bench.path("lower/to-dir"), b"file", 0o644);
        symlink("to-dir", bench.path("lower/link-to-dir")).unwrap();
        file(&bench.path("lower/to-file/x"), b"x", 0o644);
        file(&bench.path("lower/to-link/x"), b"x", 0o644);
        bench.commit("lower");
        file(&bench.path("upper/to-dir/x"), b"x", 0o644);
        file(&bench.path("upper/link-to-dir/x"), b"x", 0o644);
        file(&bench.path("upper/to-file"), b"file", 0o644);
        symlink("to-file", bench.path("upper/to-link")).unwrap();
        bench.commit("upper");
        let options = options_of(&["--union", "--whiteouts"]);
        for (rev, name) in [("lower", "ours"), ("upper", "ours"), ("upper", "alone")] {
            bench.checkout(&options, rev, "/", name).unwrap();
        }
        let repo = bench.path("repo");
        let below = |name: &str| {
            let mut snapshot = snapshot(&repo, &bench.path(name));
            // It was kept, and has the time of the last change in it.
            snapshot.remove(Path::new("/"));
            snapshot
        };
        assert_same(&below("alone"), &below("ours"), "the upper layer alone");
    }
}

/// Guards the form of paths in skip lists, also beneath a subpath.
#[test]
fn skip_list() {
    let list = ["/modes/", "/twice/a", "/dirs/dir-755", "/dir-755/", "/names/-dash", "/owned/link"];
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        fs::write(bench.path("skip"), list.join("\n")).unwrap();
        let options = CheckoutOptions {
            skip_list: list.iter().map(|s| s.to_string()).collect(),
            ..CheckoutOptions::default()
        };
        for subpath in ["/", "/dirs"] {
            compare_with(&bench, &["--skip-list=skip"], options.clone(), "tree", subpath);
            clean(&bench);
        }
    }
}

/// Guards that the destination is never written through a symbolic link in it, even in union
/// modes, while the destination itself may be a link.
#[test]
fn links_in_the_destination_are_not_followed() {
    for mode in modes() {
        let bench = Bench::new(mode);
        file(&bench.path("tree/dir/file"), b"new", 0o644);
        bench.commit("tree");
        fs::create_dir_all(bench.path("outside")).unwrap();
        fs::create_dir_all(bench.path("real")).unwrap();
        symlink("real", bench.path("ours")).unwrap();
        symlink("../outside", bench.path("real/dir")).unwrap();
        let options = options_of(&["--union"]);
        bench.checkout(&options, "tree", "/", "ours").unwrap_err();
        assert_eq!(fs::read_dir(bench.path("outside")).unwrap().count(), 0);
        fs::remove_file(bench.path("real/dir")).unwrap();
        bench.checkout(&options, "tree", "/", "ours").unwrap();
        assert_eq!(fs::read(bench.path("real/dir/file")).unwrap(), b"new");
    }
}

/// Guards a repository with a parent: objects are found and linked in either.
#[test]
fn parent_repository() {
    for mode in modes() {
        let bench = Bench::new(mode);
        varied_tree(&bench.path("tree"));
        bench.commit("tree");
        fs::rename(bench.path("repo"), bench.path("upstairs")).unwrap();
        bench.ostree_ok(&["init", &format!("--mode={mode}")]);
        let parent = bench.path("upstairs");
        bench.ostree_ok(&["config", "set", "core.parent", parent.to_str().unwrap()]);
        let rev = fs::read_to_string(parent.join("refs/heads/tree")).unwrap();
        for args in [&[][..], &["-U", "--disable-cache"], &["-C"]] {
            assert!(compare(&bench, args, rev.trim(), "/"));
            let objects = snapshot(&parent, &bench.path("theirs"));
            assert_same(&objects, &snapshot(&parent, &bench.path("ours")), "links to the parent");
            clean(&bench);
        }
    }
}
