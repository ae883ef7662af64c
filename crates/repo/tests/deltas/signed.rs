use std::fs;

use trefoil_fsat::Fs;
use trefoil_repo::Result;
use trefoil_repo::delta::{
    DeltaKeys, GenerateOptions, Limits, SignDelta, SignedDelta, apply_offline, verify_delta,
};
use trefoil_sign::{SecretKey, SignType, Verifier};

use crate::ground::Ground;

/// RFC 8032, 7.1, test 1.
const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// That of test 2.
const OTHER: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

fn keys(text: &str) -> Verifier {
    let mut verifier = Verifier::new(SignType::Ed25519);
    verifier.trust_text(text).expect("a key");
    verifier
}

/// A delta signed with [`SECRET`].
fn generate(ground: &Ground) {
    let secret = SecretKey::from_text(SignType::Ed25519, SECRET).expect("a key");
    let sign = |data: &[u8]| Ok((SignType::Ed25519, vec![secret.sign(data)?]));
    let sign: SignDelta<'_> = &sign;
    ground.generate(&GenerateOptions { sign: Some(sign), ..GenerateOptions::new(0) });
}

fn apply(ground: &Ground, keys: Option<DeltaKeys<'_>>) -> Result<()> {
    let dir = Fs::new().open_dir(ground.path(&ground.delta_dir())).expect("directory");
    let repo = ground.open("bare-user");
    apply_offline(&repo, &dir, "superblock", keys, &Limits::default()).map(drop)
}

fn refused(ground: &Ground, keys: Option<DeltaKeys<'_>>, words: &str) {
    let error = apply(ground, keys).expect_err("it must not pass");
    assert!(error.to_string().contains(words), "{error}");
    let shown = ground.try_ostree("bare-user", &["show", &ground.to]);
    assert!(!shown.status.success(), "the commit came all the same");
}

/// Guards what signatures are for: the right key lets a delta pass, another one or none does
/// not, and nothing of a delta that is refused gets into the repository.
#[test]
fn only_the_right_key_lets_it_pass() {
    let Some(ground) = Ground::new() else { return };
    generate(&ground);
    let (right, wrong) = (keys(PUBLIC), keys(OTHER));
    let file = ground.path(&format!("{}/superblock", ground.delta_dir()));
    let bytes = fs::read(&file).expect("a file");
    let words = verify_delta(&bytes, &right).expect("it is signed");
    assert!(words.starts_with("ed25519: Signature verified successfully with key 'd75a98"));
    let error = verify_delta(&bytes, &wrong).expect_err("another key");
    assert!(error.to_string().contains("couldn't be verified with: key '3d4017"), "{error}");
    let mut dummy = Verifier::new(SignType::Dummy);
    dummy.trust_text("word").expect("any word is a key");
    let error = verify_delta(&bytes, &dummy).expect_err("another type");
    let words = "no signature for 'ostree.sign.dummy' in static-delta superblock";
    assert_eq!(error.to_string(), words);

    ground.destination("bare-user", "bare-user");
    let named = |verifier| Some(DeltaKeys { verifier, required: true });
    refused(&ground, named(&wrong), "couldn't be verified");
    ground.ostree("bare-user", &["config", "set", "core.sign-verify-deltas", "true"]);
    refused(&ground, None, "Key is mandatory to check delta signature");
    apply(&ground, named(&right)).expect("the right key");
    ground.assert_complete("bare-user");
}

/// Guards that signatures bind the superblock, wherever it is changed, and that a container
/// that is cut anywhere is refused and no panic.
#[test]
fn a_changed_superblock_is_refused() {
    let Some(ground) = Ground::new() else { return };
    generate(&ground);
    let right = keys(PUBLIC);
    let file = ground.path(&format!("{}/superblock", ground.delta_dir()));
    let bytes = fs::read(&file).expect("a file");
    let signed = SignedDelta::parse(&bytes).expect("it is signed");
    let len = signed.superblock.len();
    for at in (0..len).step_by(len / 50 + 1).chain([len - 1]) {
        let mut changed = signed.clone();
        changed.superblock[at] ^= 1;
        let error = verify_delta(&changed.to_bytes(), &right).expect_err("it was changed");
        assert!(error.to_string().contains("couldn't be verified"), "at {at}: {error}");
    }
    for len in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
        verify_delta(&bytes[..len], &right).expect_err("it was cut");
    }
    // Its timestamp is none of what applying looks at.
    let mut changed = signed.clone();
    let stamp = changed.superblock.windows(8).position(|bytes| bytes == [0; 8]);
    changed.superblock[stamp.expect("the time is zero")] = 1;
    fs::write(&file, changed.to_bytes()).expect("it is writable");
    ground.destination("bare-user", "bare-user");
    let named = Some(DeltaKeys { verifier: &right, required: true });
    refused(&ground, named, "couldn't be verified");
}

/// Guards against taking the signatures off: with keys that were named, or where the
/// repository wants deltas verified, what is not signed does not pass.
#[test]
fn signatures_cannot_be_taken_off() {
    let Some(ground) = Ground::new() else { return };
    generate(&ground);
    let right = keys(PUBLIC);
    let file = ground.path(&format!("{}/superblock", ground.delta_dir()));
    let signed = SignedDelta::parse(&fs::read(&file).expect("a file")).expect("it is signed");
    ground.destination("bare-user", "bare-user");
    let keys = |required| Some(DeltaKeys { verifier: &right, required });
    let mut none = signed.clone();
    none.signatures = Default::default();
    fs::write(&file, none.to_bytes()).expect("it is writable");
    refused(&ground, keys(false), "no signatures in static-delta");
    fs::write(&file, &signed.superblock).expect("it is writable");
    refused(&ground, keys(true), "no signatures in static-delta");
    ground.ostree("bare-user", &["config", "set", "core.sign-verify-deltas", "true"]);
    refused(&ground, keys(false), "no signatures in static-delta");
    refused(&ground, None, "no signatures in static-delta");
    ground.ostree("bare-user", &["config", "set", "core.sign-verify-deltas", "false"]);
    apply(&ground, keys(false)).expect("as with ostree, keys of the system do not want signatures");
    ground.assert_complete("bare-user");
}
