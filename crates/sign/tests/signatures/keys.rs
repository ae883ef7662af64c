//! The types other than OpenPGP.

use data_encoding::{BASE64, HEXLOWER};
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_sign::{SecretKey, SignError, SignType, Verifier, append_signature, signatures};

const DATA: &[u8] = b"data to be signed";

/// RFC 8032, 7.1, test 2: seed, public key, message, signature.
const RFC: [&str; 4] = [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
];

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.replace(' ', "").as_bytes()).expect("hexadecimal")
}

fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn trusting(ty: SignType, key: &str) -> Verifier {
    let mut verifier = Verifier::new(ty);
    verifier.trust_text(key).expect("a key");
    verifier
}

/// Guards the encodings of keys: libostree's are base64 of 32 bytes, and of seed and public key.
#[test]
fn ed25519_is_that_of_the_standard() {
    let [seed, public, message, signature] = RFC.map(hex);
    let secret = base64(&[seed.clone(), public.clone()].concat());
    let key = SecretKey::from_text(SignType::Ed25519, &secret).expect("a secret key");
    assert_eq!(key.sign(&message).expect("it signs"), signature);
    let verifier = trusting(SignType::Ed25519, &base64(&public));
    let said = verifier.verify(&message, Some(&[&signature])).expect("it holds");
    let hex = RFC[1];
    assert_eq!(said, format!("ed25519: Signature verified successfully with key '{hex}'"));
    verifier.verify(b"other", Some(&[&signature])).expect_err("other data");

    let mut wrong = public.clone();
    wrong[0] ^= 1;
    let mismatch = base64(&[seed, wrong].concat());
    let error = SecretKey::from_text(SignType::Ed25519, &mismatch).expect_err("not its public key");
    assert!(error.to_string().starts_with("Invalid ed25519 secret key"), "{error}");
}

/// Guards `spki` against OpenSSL, whose signatures these are, for each algorithm, and that what
/// is signed here holds too.
#[test]
fn spki_is_that_of_openssl() {
    /// Name of the algorithm, public key, signature, secret key where we sign with it.
    type Case<'a> = (&'a str, &'a [u8], &'a str, Option<&'a [u8]>);
    let cases: [Case<'_>; 5] = [
        (
            "ed25519",
            include_bytes!("../data/ed25519.public.pem"),
            include_str!("../data/ed25519.sig"),
            Some(include_bytes!("../data/ed25519.secret.pem")),
        ),
        (
            "ed448",
            include_bytes!("../data/ed448.public.pem"),
            include_str!("../data/ed448.sig"),
            Some(include_bytes!("../data/ed448.secret.pem")),
        ),
        (
            "P-256",
            include_bytes!("../data/P-256.public.pem"),
            include_str!("../data/P-256.sig"),
            Some(include_bytes!("../data/P-256.secret.pem")),
        ),
        (
            "P-384",
            include_bytes!("../data/P-384.public.pem"),
            include_str!("../data/P-384.sig"),
            Some(include_bytes!("../data/P-384.secret.pem")),
        ),
        ("rsa", include_bytes!("../data/rsa.public.pem"), include_str!("../data/rsa.sig"), None),
    ];
    for (name, public, signature, secret) in cases {
        let signature = BASE64.decode(signature.as_bytes()).expect("base64");
        let mut verifier = Verifier::new(SignType::Spki);
        assert_eq!(verifier.trust_file(public).expect(name), 1);
        verifier.verify(DATA, Some(&[&signature])).expect(name);
        verifier.verify(b"other", Some(&[&signature])).expect_err(name);
        if let Some(secret) = secret {
            let keys = SecretKey::from_file(SignType::Spki, secret).expect(name);
            let own = keys[0].sign(DATA).expect(name);
            verifier.verify(DATA, Some(&[&own])).expect(name);
            if name.starts_with("ed") {
                assert_eq!(own, signature, "{name} has one signature of the same data");
            }
        }
    }
}

/// Guards the words scripts look for, and that one good signature among bad ones is enough.
#[test]
fn refusals_are_in_the_words_of_libostree() {
    let [_, public, message, signature] = RFC.map(hex);
    let verifier = trusting(SignType::Ed25519, &base64(&public));
    let bad = vec![0; 64];
    verifier.verify(&message, Some(&[&bad, &signature])).expect("the second holds");
    let words = |signatures: Option<&[&[u8]]>| {
        verifier.verify(&message, signatures).expect_err("refused").to_string()
    };
    let key = format!("key '{}'", RFC[1]);
    let with = "ed25519: Signature couldn't be verified with:";
    assert_eq!(words(Some(&[&bad])), format!("{with} {key}"));
    assert_eq!(words(None), "ed25519: commit have no signatures of my type");
    assert_eq!(words(Some(&[])), "ed25519: no signatures found");
    assert!(words(Some(&[b"short"])).contains("expected 64 bytes, got 5 bytes"));

    let mut many = Verifier::new(SignType::Ed25519);
    // Not every number names a point of the curve; libostree takes them for keys all the same.
    let lines: String = (0..100u8).map(|n| base64(&[n; 32]) + "\n").collect();
    assert_eq!(many.trust_file(lines.as_bytes()).expect("100 keys"), 100);
    let error = many.verify(&message, Some(&[&signature])).expect_err("none of them");
    assert_eq!(error.to_string(), "ed25519: Signature couldn't be verified; tried 100 keys");
}

/// Guards revocation: it counts whoever trusts the key.
#[test]
fn revoked_keys_do_not_count() {
    let [_, public, message, signature] = RFC.map(hex);
    let mut verifier = trusting(SignType::Ed25519, &base64(&public));
    verifier.revoke_file(base64(&public).as_bytes()).expect("a key");
    let error = verifier.verify(&message, Some(&[&signature])).expect_err("revoked");
    assert_eq!(error, SignError::Refused { ty: SignType::Ed25519, tried: 0, keys: Vec::new() });
}

/// Guards against keys of small order, with which one signature holds for everything.
#[test]
fn keys_of_small_order_verify_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let verifier = trusting(SignType::Ed25519, &base64(&identity));
    let signature = [identity, [0; 32]].concat();
    verifier.verify(b"anything", Some(&[&signature])).expect_err("no signature at all");
}

/// Guards the files of keys: comments of PEM are passed over, wrong labels and cut files are
/// not.
#[test]
fn key_files_are_read_as_libostree_reads_them() {
    let good = include_str!("../data/ed448.public.pem");
    let read = |text: &str| Verifier::new(SignType::Spki).trust_file(text.as_bytes());
    assert_eq!(read(&format!("a comment\n{good}\n{good}")), Ok(2));
    let words = |text: &str| read(text).expect_err("refused").to_string();
    assert_eq!(words(""), "signature: spki: no keys loaded");
    assert_eq!(words(&good.replace("PUBLIC", "SECRET")), "Unexpected label \"SECRET KEY\"");
    assert_eq!(words(good.split("-----END").next().expect("a part")), "PEM trailer not found");
    assert_eq!(words(&good.replace("END PUBLIC", "END OTHER")), "Unmatched PEM header");
    let rsa = include_bytes!("../data/ed448.secret.pem");
    read(&String::from_utf8_lossy(rsa)).expect_err("a secret key is no public one");
}

/// Guards what is appended: signatures come behind those that are there, in an `aay`.
#[test]
fn signatures_are_appended() {
    let mut metadata = Metadata::default();
    metadata.set("ostree.sign.dummy", Value::Str("not an aay".to_string()));
    assert_eq!(signatures(&metadata, "ostree.sign.dummy"), Ok(None));
    for word in ["one", "two"] {
        append_signature(&mut metadata, "ostree.sign.dummy", word.as_bytes().to_vec());
    }
    let metadata = Metadata::parse(&metadata.to_bytes()).expect("it is in normal form");
    let found = signatures(&metadata, "ostree.sign.dummy").expect("few").expect("some");
    assert_eq!(found, [b"one", b"two"]);
    let verifier = trusting(SignType::Dummy, "two");
    assert_eq!(verifier.verify(DATA, Some(&found)).expect("a word"), "dummy: Signature verified");
}
