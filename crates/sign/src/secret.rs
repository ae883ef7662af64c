use std::fmt;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use pkcs8::der::Decode;
use pkcs8::{DecodePrivateKey, PrivateKeyInfo};
use rsa::sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::algorithm::{OID_EC, OID_ED448, OID_ED25519, OID_P256, OID_P384, OID_RSA, ill_formed};
use crate::{Result, SignError, SignType, key_file};

const ED25519_SECRET: usize = 64;
const ED448_SEED: usize = 57;

/// A secret key of one type. Wiped from memory when it goes; its text never shows the key.
pub struct SecretKey {
    ty: SignType,
    key: Key,
}

enum Key {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Ed448(Box<cx448::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
    Dummy(Vec<u8>),
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.ty)
    }
}

impl SecretKey {
    /// The key in `text`: base64 of seed and public key for `ed25519`, of PKCS #8 for `spki`,
    /// the word itself for `dummy`.
    ///
    /// # Errors
    /// No key of this type, or an algorithm that cannot sign here: of `spki` those that can are
    /// Ed25519, Ed448, and ECDSA with P-256 and P-384.
    pub fn from_text(ty: SignType, text: &str) -> Result<SecretKey> {
        SecretKey::from_bytes(ty, &Zeroizing::new(key_file::from_text(ty, "secret", text)?))
    }

    /// The keys in the content of a file: lines of base64 for `ed25519`, PEM for `spki`, one
    /// word a line for `dummy`.
    ///
    /// # Errors
    /// Any of them is no key of this type.
    pub fn from_file(ty: SignType, content: &[u8]) -> Result<Vec<SecretKey>> {
        key_file::blobs(ty, content, "secret", "PRIVATE KEY")?
            .into_iter()
            .map(|bytes| SecretKey::from_bytes(ty, &Zeroizing::new(bytes?)))
            .collect()
    }

    fn from_bytes(ty: SignType, bytes: &[u8]) -> Result<SecretKey> {
        let key = match ty {
            SignType::Dummy => Ok(Key::Dummy(bytes.to_vec())),
            SignType::Ed25519 => ed25519(bytes),
            SignType::Spki => pkcs8(bytes),
        };
        key.map(|key| SecretKey { ty, key }).map_err(|problem| SignError::Key {
            ty,
            role: "secret",
            problem,
        })
    }

    /// The type of the signatures it makes.
    pub fn ty(&self) -> SignType {
        self.ty
    }

    /// A signature of `data`. The same data gives the same signature.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        use ed25519_dalek::Signer as _;
        let digest = || Sha256::digest(data);
        let failed = |e: p256::ecdsa::Error| SignError::Signing(e.to_string());
        Ok(match &self.key {
            Key::Ed25519(key) => key.sign(data).to_bytes().to_vec(),
            Key::Ed448(key) => key.sign_raw(data).to_bytes().to_vec(),
            Key::P256(key) => {
                let signature: p256::ecdsa::DerSignature =
                    key.sign_prehash(&digest()).map_err(failed)?;
                signature.as_bytes().to_vec()
            }
            Key::P384(key) => {
                let signature: p384::ecdsa::DerSignature =
                    key.sign_prehash(&digest()).map_err(failed)?;
                signature.as_bytes().to_vec()
            }
            Key::Dummy(word) => word.clone(),
        })
    }
}

/// Seed and public key. A public key that is not the seed's is refused: signing with it would
/// give the secret away.
fn ed25519(bytes: &[u8]) -> std::result::Result<Key, String> {
    let bytes = bytes.try_into().map_err(|_| ill_formed(ED25519_SECRET, bytes.len()))?;
    ed25519_dalek::SigningKey::from_keypair_bytes(bytes)
        .map(|key| Key::Ed25519(Box::new(key)))
        .map_err(|_| "seed and public key do not belong together".to_string())
}

fn pkcs8(bytes: &[u8]) -> std::result::Result<Key, String> {
    let info = PrivateKeyInfo::from_der(bytes).map_err(|e| e.to_string())?;
    let curve = || info.algorithm.parameters_oid().map_err(|e| e.to_string());
    match info.algorithm.oid {
        OID_ED25519 => {
            let seed: Zeroizing<[u8; 32]> = seed(&info)?;
            Ok(Key::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))))
        }
        OID_ED448 => {
            let seed: Zeroizing<[u8; ED448_SEED]> = seed(&info)?;
            let key = cx448::SigningKey::try_from(&seed[..]).map_err(|e| e.to_string())?;
            Ok(Key::Ed448(Box::new(key)))
        }
        OID_EC if curve()? == OID_P256 => p256::ecdsa::SigningKey::from_pkcs8_der(bytes)
            .map(|key| Key::P256(Box::new(key)))
            .map_err(|e| e.to_string()),
        OID_EC if curve()? == OID_P384 => p384::ecdsa::SigningKey::from_pkcs8_der(bytes)
            .map(|key| Key::P384(Box::new(key)))
            .map_err(|e| e.to_string()),
        OID_RSA => Err("RSA keys verify here, but do not sign".to_string()),
        other => Err(format!("algorithm {other} is not supported")),
    }
}

/// The seed of an Edwards curve: an OCTET STRING in the OCTET STRING of the private key.
fn seed<const N: usize>(
    info: &PrivateKeyInfo<'_>,
) -> std::result::Result<Zeroizing<[u8; N]>, String> {
    let inner = pkcs8::der::asn1::OctetStringRef::from_der(info.private_key)
        .map_err(|e| e.to_string())?
        .as_bytes();
    inner.try_into().map(Zeroizing::new).map_err(|_| ill_formed(N, inner.len()))
}
