//! Bytes from outside: cut, changed, endless. None may panic, none may be believed.

use proptest::prelude::*;
use trefoil_sign::gpg::Keyring;
use trefoil_sign::{SecretKey, SignType, Verifier};

const DATA: &[u8] = b"data to be signed";
const PEM: &[u8] = include_bytes!("../data/P-256.public.pem");
const SECRET: &[u8] = include_bytes!("../data/ed448.secret.pem");

/// A valid file with some bytes changed, and cut somewhere.
fn damaged(good: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((0..good.len(), any::<u8>()), 0..6);
    (changes, 0..=good.len()).prop_map(move |(changes, end)| {
        let mut bytes = good.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(end);
        bytes
    })
}

fn types() -> impl Strategy<Value = SignType> {
    prop::sample::select(&SignType::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Keys and signatures of every type from any bytes.
    #[test]
    fn any_bytes_give_an_error(
        ty in types(),
        file in prop_oneof![damaged(PEM), damaged(SECRET), prop::collection::vec(any::<u8>(), 0..200)],
        text in ".{0,100}",
        signature in prop::collection::vec(any::<u8>(), 0..130),
    ) {
        let mut verifier = Verifier::new(ty);
        let _ = verifier.trust_file(&file);
        let _ = verifier.revoke_file(&file);
        let _ = SecretKey::from_file(ty, &file);
        let _ = SecretKey::from_text(ty, &text);
        let _ = verifier.trust_text(&text);
        let held = verifier.verify(DATA, Some(&[&signature])).is_ok();
        prop_assert!(!held || ty == SignType::Dummy);
    }
}

#[cfg(feature = "gpg")]
mod gpg {
    use super::*;
    use trefoil_sign::gpg::SignatureState;

    const RING: &[u8] = include_bytes!("../data/ring.gpg");
    const SIGNATURE: &[u8] = include_bytes!("../data/one.sig");
    const NOW: u64 = 1_700_000_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Damaged keyrings and signatures: no panic, and other data is never called good.
        #[test]
        fn damaged_openpgp_is_never_good(ring in damaged(RING), signature in damaged(SIGNATURE)) {
            let mut keys = Keyring::default();
            let _ = keys.add(&ring);
            if let Ok(reports) = keys.verify(b"other data", &[&signature], NOW) {
                prop_assert!(reports.iter().all(|r| r.state != SignatureState::Good));
                for report in reports {
                    report.describe("", |time| time.to_string());
                }
            }
            let _ = keys.keys(NOW);
            let _ = keys.to_bytes();
        }

        /// Any bytes at all.
        #[test]
        fn any_bytes_are_no_keyring(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut keys = Keyring::default();
            let _ = keys.add(&bytes);
            let _ = keys.verify(DATA, &[&bytes], NOW);
        }
    }

    /// Guards the bounds: a packet that says it has 4 GB, a blob that is large, more signatures
    /// than anyone needs.
    #[test]
    fn huge_is_refused() {
        let mut keys = Keyring::default();
        keys.add(RING).expect("a keyring");
        let claims_4_gb = [&[0xc2, 0xff, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
        keys.verify(DATA, &[&claims_4_gb], NOW).expect_err("it is cut");
        let _ = Keyring::default().add(&claims_4_gb);
        let large = vec![0x88; 2 << 20];
        keys.verify(DATA, &[&large], NOW).expect_err("too large for signatures");
        let many = SIGNATURE.repeat(2000);
        let error = keys.verify(DATA, &[&many], NOW).expect_err("too many");
        assert!(error.to_string().contains("at most 1024"), "{error}");
        // One that cannot be read does not hide one that can.
        let reports = keys.verify(DATA, &[b"garbage", SIGNATURE], NOW).expect("the second");
        assert!(reports.len() == 1 && reports[0].is_valid() && reports[0].blob == 1);
    }
}
