//! Where keys are looked for on this machine.

use std::path::PathBuf;

use trefoil_fsat::Dir;
use trefoil_repo::verify::KeySources;
use trefoil_sign::{SignError, SignType};

use crate::error::Result;
use crate::{dates, environment};

const KEYRING_DIR: &str = "/usr/share/ostree/trusted.gpg.d";
const KEY_DIRS: [&str; 2] = ["/etc/ostree", "/usr/share/ostree"];

/// The places of keys by libostree's rules; `remotes_d` where the system has one.
pub fn sources(remotes_d: Option<&Dir>) -> KeySources<'_> {
    let keyrings = environment::text("OSTREE_GPG_HOME").map(PathBuf::from);
    let keyrings = keyrings.unwrap_or_else(|| PathBuf::from(KEYRING_DIR));
    KeySources {
        remotes_d,
        keyring_dir: Some(keyrings).filter(|path| !path.as_os_str().is_empty()),
        key_dirs: KEY_DIRS.iter().map(PathBuf::from).collect(),
        allow_dummy: dummy_allowed(),
        now: dates::now(),
    }
}

fn dummy_allowed() -> bool {
    environment::text("OSTREE_DUMMY_SIGN_ENABLED").as_deref() == Some("1")
}

/// The type of signature that `--sign-type` names; `ed25519` where it is not given.
///
/// # Errors
/// There is none of that name.
pub fn sign_type(name: Option<&str>) -> Result<SignType> {
    Ok(name.unwrap_or("ed25519").parse()?)
}

/// Fails for `dummy` unless `OSTREE_DUMMY_SIGN_ENABLED` is 1.
pub fn check_allowed(ty: SignType) -> Result<()> {
    match ty == SignType::Dummy && !dummy_allowed() {
        true => Err(SignError::DummyDisabled.into()),
        false => Ok(()),
    }
}
