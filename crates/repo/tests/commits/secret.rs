//! What others may read while a secret is on its way into a repository and out of it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use tempfile::TempDir;
use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::checkout::{CheckoutOptions, checkout};
use trefoil_repo::commit::{CommitModifier, import_dir};
use trefoil_repo::{MutableTree, Repo, RepoMode, Result};

use crate::bench::{have, is_root};

/// More than is kept in memory on the way, and less.
const SIZES: [usize; 2] = [100, 3 << 20];
const SECRET: &[u8] = b"nobody else's business ";

/// Commits `tree` and writes it out again as a copy.
fn in_and_out(fs: &Fs, at: &Path) -> Result<()> {
    let root = fs.open_dir(at)?;
    let repo = Repo::open(root.open_dir("repo")?)?;
    let txn = repo.begin()?;
    let mut tree = MutableTree::new();
    import_dir(&txn, &root.open_dir("tree")?, &mut tree, &CommitModifier::default())?;
    let tree = tree.write(&txn)?;
    txn.commit()?;
    let options = CheckoutOptions { force_copy: true, ..CheckoutOptions::default() };
    checkout(&repo, &options, tree, &root, "out").map(drop)
}

/// Fails where a file with the secret can be reached and read by others.
fn look(dir: &Path, died_at: u64) {
    for entry in fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("metadata");
        if meta.is_dir() && meta.mode() & 0o011 != 0 {
            look(&path, died_at);
        }
        if meta.is_file() && meta.mode() & 0o044 != 0 {
            let bytes = fs::read(&path).expect("a file");
            let told = bytes.windows(SECRET.len()).any(|window| window == SECRET);
            assert!(!told, "died at {died_at}: {} is readable", path.display());
        }
    }
}

/// Guards: wherever a commit or a checkout dies, a file of mode 0600 was never readable for
/// others, and a set-id bit was never there without the owner it was meant for.
#[test]
fn a_secret_is_one_at_every_step() {
    if !have("root (for mode bare)", is_root()) {
        return;
    }
    let mut at = 0;
    loop {
        at += 1;
        let place = TempDir::new().expect("a temporary directory");
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let path = |name: &str| place.path().join(name);
        fs::DirBuilder::new().mode(0o700).create(path("tree")).expect("a directory");
        for size in SIZES {
            let file = path("tree").join(size.to_string());
            fs::write(&file, SECRET.repeat(size / SECRET.len())).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let program = path("tree").join("program");
        fs::write(&program, "set-id").expect("a file");
        chown(&program, Some(7), Some(7)).expect("an owner");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("a mode");
        fs::create_dir(path("repo")).expect("a directory");
        let dir = Fs::new().open_dir(path("repo")).expect("a directory");
        Repo::create(dir, RepoMode::Bare, None).expect("a repository");
        let faulty = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let done = in_and_out(&faulty, place.path());
        look(place.path(), at);
        set_id(&path("repo"), at);
        if path("out").exists() {
            set_id(&path("out"), at);
        }
        if !faulty.fault_struck() {
            done.expect("nothing stood in the way");
            break;
        }
        assert!(done.is_err(), "died at {at}, and nobody noticed");
    }
    assert!(at > 20, "only {at} steps");
}

fn set_id(dir: &Path, died_at: u64) {
    for entry in fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("metadata");
        match meta.is_dir() {
            true => set_id(&path, died_at),
            false => assert!(
                meta.mode() & 0o6000 == 0 || meta.uid() == 7,
                "died at {died_at}: {} is set-id of another owner",
                path.display()
            ),
        }
    }
}
