//! Public keys of one algorithm each.

use cx448::VerifyingKey as Ed448Key;
use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use pkcs8::der::Decode;
use pkcs8::der::asn1::ObjectIdentifier;
use pkcs8::spki::{DecodePublicKey, SubjectPublicKeyInfoRef};
use rsa::pkcs1v15;
use rsa::sha2::{Digest, Sha256};

use crate::{Result, SignError, SignType};

pub(crate) const OID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const OID_ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");
pub(crate) const OID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const OID_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Largest signature or key that is looked at, in bytes; libostree's limit is larger.
const SIZE_LIMIT: usize = 1 << 20;
pub(crate) const ED25519_SIGNATURE: usize = 64;

/// A public key as it was given, and ready for use.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    bytes: Vec<u8>,
    algorithm: Algorithm,
}

#[derive(Clone, Debug)]
enum Algorithm {
    /// The raw type: 32 bytes. Like those below, `None` where they name no point of the curve:
    /// no signature holds with such a key, but libostree takes it for one.
    Ed25519(Option<Box<Ed25519Key>>),
    /// The same in X.509 form.
    SpkiEd25519(Option<Box<Ed25519Key>>),
    SpkiEd448(Option<Box<Ed448Key>>),
    /// ECDSA and RSA are with SHA-256, which is what OpenSSL takes where nothing is said.
    SpkiP256(Box<p256::ecdsa::VerifyingKey>),
    SpkiP384(Box<p384::ecdsa::VerifyingKey>),
    SpkiRsa(Box<pkcs1v15::VerifyingKey<Sha256>>),
    Dummy,
}

impl PublicKey {
    pub fn parse(ty: SignType, role: &'static str, bytes: &[u8]) -> Result<PublicKey> {
        let algorithm = match ty {
            SignType::Dummy => Ok(Algorithm::Dummy),
            SignType::Ed25519 => ed25519(bytes).map(Algorithm::Ed25519),
            SignType::Spki => spki(bytes),
        };
        match algorithm {
            Ok(algorithm) => Ok(PublicKey { bytes: bytes.to_vec(), algorithm }),
            Err(problem) => Err(SignError::Key { ty, role, problem }),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes)
    }

    /// Whether `signature` is one of `data` by this key.
    ///
    /// # Errors
    /// It has a length that no signature of this type has.
    pub fn verify(&self, data: &[u8], signature: &[u8]) -> Result<bool> {
        if signature.len() > SIZE_LIMIT {
            return Err(SignError::Malformed(format!(
                "{} bytes, expected <= {SIZE_LIMIT}",
                signature.len()
            )));
        }
        let digest = || Sha256::digest(data);
        Ok(match &self.algorithm {
            Algorithm::Ed25519(_) if signature.len() != ED25519_SIGNATURE => {
                let problem = ill_formed(ED25519_SIGNATURE, signature.len());
                return Err(SignError::Malformed(problem));
            }
            Algorithm::Ed25519(key) | Algorithm::SpkiEd25519(key) => {
                holds_ed25519(key, data, signature)
            }
            Algorithm::SpkiEd448(key) => match (key, cx448::Signature::try_from(signature)) {
                (Some(key), Ok(signature)) => key.verify_raw(&signature, data).is_ok(),
                _ => false,
            },
            Algorithm::SpkiP256(key) => p256::ecdsa::DerSignature::try_from(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(), &signature).is_ok()),
            Algorithm::SpkiP384(key) => p384::ecdsa::DerSignature::try_from(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(), &signature).is_ok()),
            Algorithm::SpkiRsa(key) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(data, &signature).is_ok()),
            Algorithm::Dummy => signature == self.bytes,
        })
    }
}

pub(crate) fn ill_formed(expected: usize, found: usize) -> String {
    format!("Ill-formed input: expected {expected} bytes, got {found} bytes")
}

fn ed25519(bytes: &[u8]) -> std::result::Result<Option<Box<Ed25519Key>>, String> {
    let bytes = bytes.try_into().map_err(|_| ill_formed(32, bytes.len()))?;
    Ok(Ed25519Key::from_bytes(bytes).ok().map(Box::new))
}

/// With no key, or one of small order, with which signatures of anything can be made, nothing
/// holds.
fn holds_ed25519(key: &Option<Box<Ed25519Key>>, data: &[u8], signature: &[u8]) -> bool {
    let signature = <[u8; ED25519_SIGNATURE]>::try_from(signature);
    let (Some(key), Ok(signature)) = (key, signature) else { return false };
    key.verify_strict(data, &signature.into()).is_ok()
}

fn spki(bytes: &[u8]) -> std::result::Result<Algorithm, String> {
    if bytes.len() > SIZE_LIMIT {
        return Err(format!("{} bytes, expected <= {SIZE_LIMIT}", bytes.len()));
    }
    let info = SubjectPublicKeyInfoRef::from_der(bytes).map_err(|e| e.to_string())?;
    let raw = info.subject_public_key.as_bytes().ok_or("not a whole number of bytes")?;
    let curve = || info.algorithm.parameters_oid().map_err(|e| e.to_string());
    let words = |e: &dyn std::fmt::Display| e.to_string();
    match info.algorithm.oid {
        OID_ED25519 => ed25519(raw).map(Algorithm::SpkiEd25519),
        OID_ED448 => {
            let raw: &[u8; 57] = raw.try_into().map_err(|_| ill_formed(57, raw.len()))?;
            Ok(Algorithm::SpkiEd448(Ed448Key::from_bytes(raw).ok().map(Box::new)))
        }
        OID_EC if curve()? == OID_P256 => p256::ecdsa::VerifyingKey::from_public_key_der(bytes)
            .map(|key| Algorithm::SpkiP256(Box::new(key)))
            .map_err(|e| words(&e)),
        OID_EC if curve()? == OID_P384 => p384::ecdsa::VerifyingKey::from_public_key_der(bytes)
            .map(|key| Algorithm::SpkiP384(Box::new(key)))
            .map_err(|e| words(&e)),
        OID_RSA => rsa::RsaPublicKey::from_public_key_der(bytes)
            .map(|key| Algorithm::SpkiRsa(Box::new(pkcs1v15::VerifyingKey::new(key))))
            .map_err(|e| words(&e)),
        other => Err(format!("algorithm {other} is not supported")),
    }
}
