//! Recycling an `etc`: killed or failing anywhere, the next run finishes; and its cost is that
//! of the difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Counters, Dir, Fault, FaultKind, Fs};
use trefoil_repo::{Repo, RepoMode, TreeId};
use trefoil_sysroot::etc::{
    Applied, EtcIndex, PlanOptions, RecycleSources, Result, Scan, Sides, Sources, apply_fresh,
    apply_recycled, diff, file_system_now, plan,
};

use crate::import::import;
use crate::tree::{Op, dir, picture};

const EIO: i32 = 5;
const COMMIT: [u8; 32] = [7; 32];

/// Old and new defaults, a local `etc` with changes, and a spare `etc` of the old defaults that
/// the administrator had changed in another way.
struct Scene {
    temp: TempDir,
    repo: Repo,
    old: TreeId,
    new: TreeId,
    index: EtcIndex,
}

fn file(path: &str, content: u8) -> Op {
    Op::File(path.into(), content, 0o644)
}

fn local_changes() -> Vec<Op> {
    vec![
        file("d/mod", 9),
        file("mine/deep/f", 9),
        Op::Remove("gone".into()),
        Op::Link("link".into(), "elsewhere".into()),
        Op::File("swap/in".into(), 9, 0o600),
    ]
}

/// Makes an `etc` of the old defaults.
fn seal_defaults(repo: &Repo, tree: TreeId, root: &Path, name: &str) -> EtcIndex {
    let old = dir(&root.join("old"));
    let plan = plan(Sides::Disk { old: &old, new: &old }, None, PlanOptions::default()).unwrap();
    let sources = Sources {
        new_defaults: &old,
        local: None,
        objects: Some((repo, tree)),
        commit: Checksum::from_bytes(COMMIT),
    };
    let applied = apply_fresh(&plan, sources, &dir(&root.join(name))).unwrap();
    std::thread::sleep(Duration::from_millis(15));
    let now = file_system_now(&dir(root)).unwrap();
    applied.seal(&dir(&root.join(name).join("etc")), now).unwrap().unwrap()
}

impl Scene {
    /// `extra` files are the same on all sides.
    fn new(extra: usize) -> Scene {
        let temp = TempDir::new().unwrap();
        let root = temp.path();
        let (old, new) = (root.join("old"), root.join("new"));
        fs::create_dir_all(root.join("repo")).unwrap();
        for defaults in [&old, &new] {
            fs::create_dir(defaults).unwrap();
            for n in 0..extra {
                file(&format!("extra/{}/{n}", n % 10), 1).apply(defaults);
            }
            let base = ["d/mod", "d/x", "gone", "swap", "sub/deep/y", "todir", "tofile/z"];
            base.iter().for_each(|path| file(path, 1).apply(defaults));
            Op::Link("link".into(), "d".into()).apply(defaults);
        }
        let update = [
            file("d/x", 2),
            file("todir/a", 2),
            file("tofile", 2),
            file("fresh/b", 2),
            Op::Remove("sub/deep".into()),
            Op::Chmod("sub".into(), 0o700),
        ];
        update.iter().for_each(|op| op.apply(&new));
        let mut repo = Repo::create(dir(&root.join("repo")), RepoMode::Archive, None).unwrap();
        repo.set_fsync(false);
        let (old_tree, new_tree) = (import(&repo, &old), import(&repo, &new));
        for name in ["local", "spare"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        seal_defaults(&repo, old_tree, root, "local");
        local_changes().iter().for_each(|op| op.apply(&root.join("local/etc")));
        let index = seal_defaults(&repo, old_tree, root, "spare");
        Scene { temp, repo, old: old_tree, new: new_tree, index }
    }

    /// The spare as it was in the beginning.
    fn reset(&mut self) {
        fs::remove_dir_all(self.at("spare/etc")).unwrap();
        self.index = seal_defaults(&self.repo, self.old, self.temp.path(), "spare");
    }

    fn at(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    /// Merges into `target` by `make`; all writes go through `fs`.
    fn merge(
        &self,
        fs: &Fs,
        target: &Path,
        make: impl FnOnce(&trefoil_sysroot::etc::MergePlan, Sources<'_>, &Dir) -> Result<Applied>,
    ) -> Result<Applied> {
        let local = fs.open_dir(self.at("local/etc"))?;
        let changes = diff(&fs.open_dir(self.at("old"))?, &local, None)?;
        let sides = Sides::Trees { repo: &self.repo, old: self.old, new: self.new };
        let plan = plan(sides, Some((&local, &changes)), PlanOptions::default())?;
        let new = fs.open_dir(self.at("new"))?;
        let sources = Sources {
            new_defaults: &new,
            local: Some(&local),
            objects: Some((&self.repo, self.new)),
            commit: Checksum::from_bytes(COMMIT),
        };
        make(&plan, sources, &fs.open_dir(target)?)
    }

    fn recycle(&self, fs: &Fs, trusted: bool) -> Result<Applied> {
        self.merge(fs, &self.at("spare/etc"), |plan, sources, etc| {
            let scan = if trusted { None } else { Scan::of(&self.index, etc)? };
            let defaults = self.old;
            let old = RecycleSources { etc, index: &self.index, scan: scan.as_ref(), defaults };
            apply_recycled(plan, sources, (&self.repo, self.new), old)
        })
    }

    fn expected(&self) -> std::collections::BTreeMap<String, String> {
        fs::create_dir(self.at("fresh")).unwrap();
        self.merge(&Fs::new(), &self.at("fresh"), apply_fresh).unwrap();
        let expected = picture(&self.at("fresh/etc"));
        fs::remove_dir_all(self.at("fresh")).unwrap();
        expected
    }
}

#[test]
fn interrupted_anywhere_the_next_run_finishes() {
    let mut scene = Scene::new(0);
    let expected = scene.expected();
    for kind in [FaultKind::Die, FaultKind::Fail(EIO)] {
        for at in 1.. {
            scene.reset();
            let fs = Fs::with_fault(Fault { at, kind });
            let done = scene.recycle(&fs, false);
            if !fs.fault_struck() {
                assert!(at > 20, "the scene has work to do: {at}");
                break;
            }
            assert!(done.is_err(), "an error at {at} is passed on");
            scene.recycle(&Fs::new(), false).unwrap();
            assert_eq!(picture(&scene.at("spare/etc")), expected, "{kind:?} at {at}");
        }
    }
}

/// The spare's own changes since it was sealed are found and undone.
#[test]
fn tampered_spare_is_mended() {
    let scene = Scene::new(0);
    let spare = scene.at("spare/etc");
    let changes = [
        file("d/x", 7),
        file("d/foreign", 7),
        file("mine", 7),
        Op::Chmod("d".into(), 0o700),
        Op::Xattr("d/mod".into(), 1),
        Op::Xattr("tofile".into(), 1),
        Op::Remove("todir".into()),
        Op::Link("fresh".into(), "d".into()),
        Op::Fifo("pipe".into()),
    ];
    changes.iter().for_each(|op| op.apply(&spare));
    scene.recycle(&Fs::new(), false).unwrap();
    assert_eq!(picture(&spare), scene.expected());
}

/// The same change costs the same in a small and a large `etc`.
#[test]
fn cost_is_that_of_the_difference() {
    let cost = |extra: usize| -> Counters {
        let scene = Scene::new(extra);
        let fs = Fs::new();
        let target = fs.open_dir(scene.at("spare/etc")).unwrap();
        let reader = Fs::new();
        let local = reader.open_dir(scene.at("local/etc")).unwrap();
        let changes = diff(&reader.open_dir(scene.at("old")).unwrap(), &local, None).unwrap();
        let sides = Sides::Trees { repo: &scene.repo, old: scene.old, new: scene.new };
        let plan = plan(sides, Some((&local, &changes)), PlanOptions::default()).unwrap();
        let new = fs.open_dir(scene.at("new")).unwrap();
        let before = fs.counters();
        let sources = Sources {
            new_defaults: &new,
            local: Some(&local),
            objects: None,
            commit: Checksum::from_bytes(COMMIT),
        };
        let (index, defaults) = (&scene.index, scene.old);
        let old = RecycleSources { etc: &target, index, scan: None, defaults };
        apply_recycled(&plan, sources, (&scene.repo, scene.new), old).unwrap();
        assert_eq!(picture(&scene.at("spare/etc")), scene.expected());
        fs.counters().since(&before)
    };
    assert_eq!(cost(10), cost(500));
}
