//! OpenPGP: the ring has a key without end and with a subkey that signs, and one that ended at
//! the end of 2020. All signatures are of 3 January 2020.

use trefoil_sign::gpg::{Keyring, SignatureState};

const DATA: &[u8] = b"data to be signed";
const RING: &[u8] = include_bytes!("../data/ring.gpg");
const ONE: &[u8] = include_bytes!("../data/one.asc");
const TWO: &[u8] = include_bytes!("../data/two.asc");
const ONE_REVOKED: &[u8] = include_bytes!("../data/one.rev.asc");
const BY_ONE: &[u8] = include_bytes!("../data/one.sig");
const BY_TWO: &[u8] = include_bytes!("../data/two.sig");
const FOR_TEN_DAYS: &[u8] = include_bytes!("../data/short.sig");
const WITH_SHA1: &[u8] = include_bytes!("../data/sha1.sig");
const ONE_FINGERPRINT: &str = "C58A55CBE7C1B6BDA2A00A4FD3120B12963E2E91";

const IN_FORCE: u64 = 1_578_100_000; // 4 January 2020
const LATER: u64 = 1_700_000_000; // 14 November 2023

fn ring(files: &[&[u8]]) -> Keyring {
    let mut ring = Keyring::default();
    for file in files {
        ring.add(file).expect("a keyring");
    }
    ring
}

fn state(ring: &Keyring, data: &[u8], signature: &[u8], now: u64) -> SignatureState {
    let reports = ring.verify(data, &[signature], now).expect("a signature");
    assert_eq!(reports.len(), 1);
    reports[0].state
}

/// The verdicts, one by one: everything is judged by the time it is now.
#[test]
fn verdicts() {
    let all = ring(&[RING]);
    let cases = [
        ("in force", &all, BY_ONE, IN_FORCE, SignatureState::Good),
        ("still in force", &all, BY_ONE, LATER, SignatureState::Good),
        ("key in force", &all, BY_TWO, IN_FORCE, SignatureState::Good),
        ("key ended since", &all, BY_TWO, LATER, SignatureState::KeyExpired),
        ("signature in force", &all, FOR_TEN_DAYS, IN_FORCE, SignatureState::Good),
        ("signature ended", &all, FOR_TEN_DAYS, LATER, SignatureState::SignatureExpired),
        ("SHA-1 of data", &all, WITH_SHA1, IN_FORCE, SignatureState::Bad),
        ("unknown", &ring(&[TWO]), BY_ONE, LATER, SignatureState::KeyMissing),
        ("no keys", &Keyring::default(), BY_ONE, LATER, SignatureState::KeyMissing),
        ("made before the key", &all, BY_ONE, 1_500_000_000, SignatureState::Bad),
    ];
    for (what, ring, signature, now, expected) in cases {
        assert_eq!(state(ring, DATA, signature, now), expected, "{what}");
        let changed = match expected {
            SignatureState::KeyMissing => SignatureState::KeyMissing,
            _ => SignatureState::Bad,
        };
        assert_eq!(state(ring, b"changed", signature, now), changed, "{what}, changed");
    }
}

/// Guards revocation: it counts whichever keyring it lies in, and in whatever order.
#[test]
fn a_revocation_counts_wherever_it_lies() {
    let revoked = {
        let key = dearmored(ONE);
        let revocation = dearmored(ONE_REVOKED);
        // A revocation of a key follows the key itself: tag and length are one byte each here.
        let end = 2 + usize::from(key[1]);
        [&key[..end], &revocation, &key[end..]].concat()
    };
    for files in [[RING, &revoked[..]], [&revoked[..], RING]] {
        let ring = ring(&files);
        assert_eq!(state(&ring, DATA, BY_ONE, LATER), SignatureState::KeyRevoked);
        assert_eq!(state(&ring, b"changed", BY_ONE, LATER), SignatureState::Bad);
        let keys = ring.keys(LATER).expect("keys");
        let one = keys.iter().find(|key| key.subkeys[0].fingerprint == ONE_FINGERPRINT);
        let one = one.expect("it is listed");
        assert!(one.subkeys.iter().all(|key| key.revoked) && one.user_ids[0].revoked, "{one:?}");
    }
}

fn dearmored(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("armour is ASCII");
    let body: String = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip_while(|line| !line.trim().is_empty())
        .take_while(|line| !line.starts_with("-----END") && !line.starts_with('='))
        .collect();
    data_encoding::BASE64.decode(body.trim().as_bytes()).expect("base64")
}

/// Guards what `show` prints of a signature.
#[test]
fn reports_are_in_the_words_of_libostree() {
    let reports = ring(&[RING]).verify(DATA, &[BY_ONE, BY_TWO], LATER).expect("signatures");
    let texts: Vec<String> =
        reports.iter().map(|r| r.describe("  ", |t| format!("<{t}>"))).collect();
    let subkey = &reports[0].fingerprint[24..];
    assert_eq!(
        texts[0],
        format!(
            "  Signature made <{}> using EdDSA key ID {subkey}\n  \
             Good signature from \"Fixture One <one@example.com>\"\n  \
             Primary key ID {}\n",
            reports[0].timestamp,
            &ONE_FINGERPRINT[24..]
        )
    );
    let lines: Vec<&str> = texts[1].lines().collect();
    assert_eq!(lines[1], "  BAD signature from \"Fixture Two <two@example.com>\"");
    assert!(lines[2].starts_with("  Key expired <16"), "{lines:?}");
    assert_eq!([reports[0].blob, reports[1].blob], [0, 1]);
}

/// Guards importing: armoured blocks one after another, keys by id, and that the same key again
/// is not new.
#[test]
fn keys_are_imported_once() {
    let both = ring(&[&[ONE, TWO].concat()]);
    assert_eq!(both.keys(LATER).expect("keys").len(), 2);
    let mut own = Keyring::default();
    let wanted = |name: &str| vec![name.to_string()];
    own.import(&both, &wanted("no such key")).expect_err("it is in none");
    assert!(own.is_empty());
    assert_eq!(own.import(&both, &wanted(&ONE_FINGERPRINT[32..])), Ok(1));
    assert_eq!(own.import(&both, &wanted("two@example")), Ok(1));
    assert_eq!(own.import(&both, &[]), Ok(0));
    let again = ring(&[&own.to_bytes().expect("bytes")]);
    assert_eq!(state(&again, DATA, BY_ONE, LATER), SignatureState::Good);
    assert_eq!(again.primary_fingerprint(ONE_FINGERPRINT).as_deref(), Some(ONE_FINGERPRINT));
}
