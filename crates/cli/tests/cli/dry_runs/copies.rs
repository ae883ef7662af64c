//! What comes from other repositories, goes to others, or lies in deltas.

use std::fs;

use super::{LOOSE, fail_alike, json, on, plan, rev, same};
use crate::support::Lab;

/// Guards that a copy brings what was said, by links and by copies, whole and on top of an older
/// commit.
#[test]
fn a_copy_is_foreseen() {
    let lab = Lab::with_history("archive");
    let numbers = ["metadata_imported", "content_imported", "linked", "content_bytes_written"];
    for mode in ["archive", "bare-user", "bare-user-only"] {
        on(&lab, mode, &["init", &format!("--mode={mode}")]);
        for more in [&["main^"][..], &["--untrusted", "main", "a/d"], &["--depth=-1"], &[]] {
            let refs: Vec<&str> =
                ["pull-local", "repo", LOOSE].iter().chain(more).copied().collect();
            let words: Vec<&str> = refs.iter().copied().chain(["--json"]).collect();
            if more == ["main^"] {
                // A checksum makes no ref.
                let main = rev(&lab, "main^");
                let words = ["pull-local", "repo", &main, "--json"];
                let planned = json(&plan(&lab, mode, &words));
                assert_eq!(planned["commits"], serde_json::json!([main]));
                same(&planned, &json(&on(&lab, mode, &words)), &numbers);
                continue;
            }
            let planned = json(&plan(&lab, mode, &words));
            let text = plan(&lab, mode, &refs);
            let real = json(&on(&lab, mode, &words));
            same(&planned, &real, &numbers);
            let moved = planned["refs"].as_array().expect("a list");
            for one in moved {
                let (name, to) = (one["name"].as_str(), one["to"].as_str());
                let (name, to) = (name.expect("a name"), to.expect("a commit"));
                assert_eq!(on(&lab, mode, &["rev-parse", name]).trim(), to);
                assert!(text.contains(&format!("{name} would point to {to}\n")), "{text}");
            }
            assert_eq!(moved.is_empty(), more.is_empty(), "{mode} {more:?}: {planned}");
        }
    }
    fail_alike(&lab, "archive", &["pull-local", "repo", "nosuch"]);
    fail_alike(&lab, "archive", &["pull-local", "nosuch"]);
    // A mode that the repository cannot hold.
    use std::os::unix::fs::PermissionsExt;
    let setuid = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(lab.path("tree/prog"), setuid).expect("it is ours");
    lab.must(&["commit", "-b", "setuid", "--tree=dir=tree"]);
    fail_alike(&lab, "bare-user-only", &["pull-local", "repo", "setuid"]);
    fail_alike(&lab, "archive", &["pull-local", "repo", "setuid", "--bareuseronly-files"]);
    // Commits that were made for other refs.
    fail_alike(&lab, "archive", &["pull-local", "repo", "a/d"]);
    // What is missing at the source is missed by the plan.
    on(&lab, "late", &["init", "--mode=archive"]);
    let object = lab.an_object("dirtree").expect("there are some");
    let path = format!("repo/objects/{}/{}.dirtree", &object[..2], &object[2..]);
    fs::remove_file(lab.path(&path)).expect("it is there");
    fail_alike(&lab, "late", &["pull-local", "repo", "main", "--depth=-1"]);
}

/// Guards that a copy by deltas is foreseen as a pull by deltas is, without a trace.
#[test]
fn a_copy_by_deltas_is_foreseen() {
    let lab = Lab::with_history("archive");
    on(&lab, "bare", &["init", "--mode=bare-user"]);
    on(&lab, "bare", &["pull-local", "repo", &rev(&lab, "main^")]);
    lab.must(&["static-delta", "generate", "main"]);
    lab.must(&["summary", "-u"]);
    let words = ["pull-local", "repo", "main", "--require-static-deltas"];
    let said = plan(&lab, "bare", &words);
    assert!(said.starts_with("Delta update: 0/1 parts, "), "{said}");
    on(&lab, "bare", &words);
}

/// Guards what a stick would get, the first time and the next.
#[test]
fn a_stick_is_foreseen() {
    let lab = Lab::with_history("archive");
    lab.must(&["config", "set", "core.collection-id", "org.example.Lab"]);
    lab.must(&["commit", "-b", "app", "--tree=dir=tree"]);
    fs::create_dir(lab.path("stick")).expect("the folder is writable");
    let words = ["create-usb", "stick", "org.example.Lab", "app", "--destination-repo=some/where"];
    let app = rev(&lab, "app");
    let said = plan(&lab, "repo", &words);
    assert_eq!(
        said,
        format!(
            "repository some/where would be made in mode archive\n\
             (org.example.Lab, app) would point to {app}\n\
             a link to some/where would be made\n\
             the summary would be written\n"
        )
    );
    lab.must(&words);
    let said = plan(&lab, "repo", &words);
    assert!(said.starts_with("0 metadata, 0 content objects would be imported"), "{said}");
    assert!(!said.contains("a link to"), "{said}");
    fs::write(lab.path("tree/extra"), "extra").expect("it is writable");
    lab.must(&["commit", "-b", "app", "--tree=dir=tree"]);
    let app = rev(&lab, "app");
    let said = plan(&lab, "repo", &words);
    assert!(said.contains(&format!("(org.example.Lab, app) would point to {app}\n")), "{said}");
    assert!(said.contains("2 metadata, 1 content objects would be imported"), "{said}");
    lab.must(&words);
    fail_alike(&lab, "repo", &["create-usb", "stick", "org.example.Lab", "nosuch"]);
    fail_alike(&lab, "repo", &["create-usb", "nosuch", "org.example.Lab", "app"]);
    let out = ["create-usb", "stick", "org.example.Lab", "app", "--destination-repo=../repo"];
    fail_alike(&lab, "repo", &out);
}
/// Guards the subcommands of `static-delta`.
#[test]
fn deltas_are_foreseen() {
    let lab = Lab::with_history("archive");
    let generate = ["static-delta", "generate", "main"];
    let said = plan(&lab, "repo", &generate);
    let name = format!("{}-{}", rev(&lab, "main^"), rev(&lab, "main"));
    assert!(said.starts_with(&format!("delta {name} would be made\n")), "{said}");
    let real = lab.trefoil(&generate).err;
    let shared = said.lines().skip(1).filter(|line| !line.starts_with("fallbacks="));
    for line in shared.filter(|line| !line.starts_with("loose=")) {
        assert!(real.lines().any(|real| real == line), "{line}: {real}");
    }
    let loose = said.lines().find_map(|line| line.strip_prefix("loose=")).expect("it is said");
    let loose = loose.strip_suffix(" bytes").expect("it has a unit");
    assert!(real.contains(&format!(" loose={loose}\n")), "{loose}: {real}");
    assert!(plan(&lab, "repo", &generate).contains(" would be made anew\n"));
    fail_alike(&lab, "repo", &["static-delta", "generate", "nosuch"]);
    fail_alike(&lab, "repo", &["static-delta", "generate", "main", "--empty", "--from=main^"]);

    let reindex = ["static-delta", "reindex"];
    let said = plan(&lab, "repo", &reindex);
    assert!(said.contains(&format!("index of {} would be written: 1 deltas", rev(&lab, "main"))));
    lab.must(&reindex);
    assert_eq!(plan(&lab, "repo", &reindex), "all indexes are up to date\n");

    on(&lab, "bare", &["init", "--mode=bare-user"]);
    on(&lab, "bare", &["pull-local", "repo", &rev(&lab, "main^")]);
    let place = lab.must(&["static-delta", "list"]);
    let (_, superblock) = lab
        .state()
        .into_keys()
        .find(|path| path.ends_with("superblock"))
        .map(|path| (place, path.to_string_lossy().into_owned()))
        .expect("there is one");
    let apply = ["static-delta", "apply-offline", &superblock];
    let said = plan(&lab, "bare", &apply);
    assert!(
        said.starts_with(&format!("commit {} would be imported\n1 of 1 parts", rev(&lab, "main")))
    );
    on(&lab, "bare", &apply);
    let said = plan(&lab, "bare", &apply);
    assert!(said.contains("is here already\n0 of 1 parts would be applied"), "{said}");
    on(&lab, "empty", &["init", "--mode=bare-user"]);
    fail_alike(&lab, "empty", &apply);

    let delete = ["static-delta", "delete", &name];
    assert!(
        plan(&lab, "repo", &delete).starts_with(&format!("{name} would be deleted: 2 files, "))
    );
    lab.must(&delete);
    fail_alike(&lab, "repo", &delete);
    let said = plan(&lab, "repo", &reindex);
    assert_eq!(said, format!("index of {} would be removed\n", rev(&lab, "main")));
}
