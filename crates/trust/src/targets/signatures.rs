use std::sync::LazyLock;

use trefoil_sign::gpg::Keyring;
use trefoil_sign::{SecretKey, SignType, Verifier};

use super::Target;

pub const TARGET: Target = Target {
    name: "signatures",
    formats: "OpenPGP keyrings and signatures, key files and signatures of ed25519 and spki",
    run,
};

/// What is signed.
const DATA: &[u8] = b"commit";
const NOW: u64 = 1_700_000_000;
/// Keys that signatures are tried with, as `trust corpus` made them.
static RING: LazyLock<Keyring> = LazyLock::new(|| {
    let mut ring = Keyring::default();
    ring.add(include_bytes!("../../corpus/signatures/keyring")).expect("a keyring");
    ring
});

fn run(bytes: &[u8]) {
    let mut ring = Keyring::default();
    if ring.add(bytes).is_ok() {
        let keys = ring.keys(NOW).expect("keys can be listed");
        let written = ring.to_bytes().expect("what was read can be written");
        let mut again = Keyring::default();
        // A key of which nothing holds is left out, as `gpg --export` does.
        if !written.is_empty() {
            again.add(&written).expect("what was written can be read");
            assert!(again.keys(NOW).expect("keys can be listed").len() <= keys.len());
        }
        let _ = ring.verify(DATA, &[bytes], NOW);
    }
    if let Ok(reports) = RING.verify(DATA, &[bytes], NOW) {
        assert!(!reports.is_empty());
    }
    for ty in SignType::ALL {
        native(ty, bytes);
    }
}

/// The bytes as a key, as a file of keys, and as a signature by a key that is there.
fn native(ty: SignType, bytes: &[u8]) {
    let mut verifier = Verifier::new(ty);
    let read = verifier.trust_file(bytes).unwrap_or(0);
    let _ = verifier.revoke_file(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = verifier.trust_text(text);
    }
    if read > 0 {
        let _ = verifier.verify(DATA, Some(&[bytes]));
    }
    for key in SecretKey::from_file(ty, bytes).unwrap_or_default() {
        let _ = key.sign(DATA);
    }
    if let Ok(key) = SecretKey::from_text(ty, std::str::from_utf8(bytes).unwrap_or_default()) {
        let _ = key.sign(DATA);
    }
    known(ty).verify(DATA, Some(&[bytes])).unwrap_or_default();
}

/// Keys of libostree's own format for each type.
fn known(ty: SignType) -> Verifier {
    let mut verifier = Verifier::new(ty);
    let file: &[u8] = match ty {
        SignType::Dummy => b"dummy\n",
        SignType::Ed25519 => include_bytes!("../../corpus/signatures/ed25519-public"),
        SignType::Spki => include_bytes!("../../corpus/signatures/spki-public"),
    };
    verifier.trust_file(file).expect("a key");
    verifier
}
