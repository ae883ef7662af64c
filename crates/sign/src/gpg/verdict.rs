//! From a signature to a verdict, by the rules `gpg` has for libostree: everything is judged
//! as it is now.

use std::time::SystemTime;

use sequoia_openpgp::KeyHandle;
use sequoia_openpgp::cert::amalgamation::ValidAmalgamation;
use sequoia_openpgp::cert::{Cert, ValidCert};
use sequoia_openpgp::packet::key::{PublicParts, UnspecifiedRole};
use sequoia_openpgp::packet::{Key, Packet, Signature};
use sequoia_openpgp::parse::{PacketParserBuilder, PacketParserResult, Parse};
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy};
use sequoia_openpgp::types::{HashAlgorithm, PublicKeyAlgorithm, RevocationStatus, SignatureType};

use super::ring::{policy, system_time};
use super::{SignatureReport, SignatureState};
use crate::{MAX_SIGNATURES, Result, SignError};

/// Largest blob of signatures, in bytes.
const BLOB_LIMIT: usize = 1 << 20;
/// Largest signature packet that is parsed, in bytes.
const PACKET_LIMIT: u32 = 1 << 16;

pub(super) fn verify(
    certs: &[Cert],
    data: &[u8],
    blobs: &[&[u8]],
    now: u64,
) -> Result<Vec<SignatureReport>> {
    let mut reports = Vec::new();
    for (blob, bytes) in blobs.iter().enumerate() {
        for signature in parse(bytes) {
            if reports.len() >= MAX_SIGNATURES {
                let key = super::METADATA_KEY.to_string();
                return Err(SignError::TooMany { key, count: reports.len() + 1 });
            }
            reports.push(judge(certs, data, signature, blob, now));
        }
    }
    match reports.is_empty() {
        true => Err(SignError::Gpg {
            what: "Unable to complete signature verification",
            problem: "No data".to_string(),
        }),
        false => Ok(reports),
    }
}

/// The signature packets at the beginning of a blob.
fn parse(bytes: &[u8]) -> Vec<Signature> {
    let mut signatures = Vec::new();
    if bytes.len() > BLOB_LIMIT {
        return signatures;
    }
    let parser = PacketParserBuilder::from_bytes(bytes)
        .map(|builder| builder.max_recursion_depth(0).max_packet_size(PACKET_LIMIT))
        .and_then(|builder| builder.build());
    let Ok(mut parser) = parser else { return signatures };
    while let PacketParserResult::Some(packet) = parser {
        let Ok((packet, next)) = packet.next() else { break };
        let Packet::Signature(signature) = packet else { break };
        signatures.push(signature);
        parser = next;
    }
    signatures
}

fn judge(
    certs: &[Cert],
    data: &[u8],
    signature: Signature,
    blob: usize,
    now: u64,
) -> SignatureReport {
    let issuers = signature.get_issuers();
    let issuer = issuers
        .iter()
        .find(|handle| matches!(handle, KeyHandle::Fingerprint(_)))
        .or(issuers.first());
    let mut report = SignatureReport {
        blob,
        state: SignatureState::KeyMissing,
        fingerprint: issuer.map(KeyHandle::to_hex).unwrap_or_default(),
        fingerprint_primary: String::new(),
        timestamp: signature.signature_creation_time().map_or(0, seconds),
        expires: signature.signature_expiration_time().map_or(0, seconds),
        public_key_algorithm: public_key_name(signature.pk_algo()),
        hash_algorithm: hash_name(signature.hash_algo()),
        user_name: "[unknown name]".to_string(),
        user_email: "[unknown email]".to_string(),
        key_expires: 0,
        primary_expires: 0,
    };
    let policy = policy();
    for (cert, key) in issuing_keys(certs, &issuers) {
        let candidate = Candidate { cert, key, policy: &policy, now };
        candidate.fill(&mut report);
        report.state = candidate.state(&signature, data, &report);
        if report.is_valid() {
            break;
        }
    }
    report
}

/// The keys a signature says it was made with. Two keys may share an id of 64 bits.
fn issuing_keys<'a>(
    certs: &'a [Cert],
    issuers: &'a [KeyHandle],
) -> impl Iterator<Item = (&'a Cert, &'a Key<PublicParts, UnspecifiedRole>)> {
    certs.iter().flat_map(move |cert| {
        cert.keys()
            .map(|key| key.key())
            .filter(|key| issuers.iter().any(|issuer| issuer.aliases(key.key_handle())))
            .map(move |key| (cert, key))
    })
}

/// A key that may have made a signature, and the certificate it belongs to.
struct Candidate<'a> {
    cert: &'a Cert,
    key: &'a Key<PublicParts, UnspecifiedRole>,
    policy: &'a dyn Policy,
    now: u64,
}

impl Candidate<'_> {
    fn valid(&self) -> Option<ValidCert<'_>> {
        self.cert.with_policy(self.policy, system_time(self.now)).ok()
    }

    fn fill(&self, report: &mut SignatureReport) {
        report.fingerprint = self.key.fingerprint().to_hex();
        report.fingerprint_primary = self.cert.fingerprint().to_hex();
        let valid = self.valid();
        let primary = valid.as_ref().and_then(|valid| valid.primary_userid().ok());
        let user = match &primary {
            Some(uid) => Some(uid.userid().value()),
            None => self.cert.userids().next().map(|uid| uid.userid().value()),
        };
        if let Some(user) = user {
            let UserName { name, email, .. } = user_name(&String::from_utf8_lossy(user));
            (report.user_name, report.user_email) = (name, email);
        }
        let Some(valid) = valid else { return };
        report.primary_expires = valid.primary_key().key_expiration_time().map_or(0, seconds);
        let own = valid.keys().find(|key| key.key().fingerprint() == self.key.fingerprint());
        report.key_expires = own.and_then(|key| key.key_expiration_time()).map_or(0, seconds);
    }

    /// The order decides what is said where several things are wrong, and is that of libostree.
    fn state(
        &self,
        signature: &Signature,
        data: &[u8],
        report: &SignatureReport,
    ) -> SignatureState {
        let holds = signature.typ() == SignatureType::Binary
            && signature.verify_message(self.key, data).is_ok()
            && self.policy.signature(signature, HashAlgoSecurity::CollisionResistance).is_ok();
        if !holds {
            return SignatureState::Bad;
        }
        let time = system_time(self.now);
        let revoked = |status| matches!(status, RevocationStatus::Revoked(_));
        if revoked(self.cert.revocation_status(self.policy, time)) {
            return SignatureState::KeyRevoked;
        }
        let Some(valid) = self.valid() else { return SignatureState::Bad };
        let own = valid.keys().find(|key| key.key().fingerprint() == self.key.fingerprint());
        let Some(own) = own else { return SignatureState::Bad };
        if revoked(own.revocation_status()) {
            return SignatureState::KeyRevoked;
        }
        if is_over(report.expires, self.now) {
            return SignatureState::SignatureExpired;
        }
        if has_ended(&valid, self.now) || is_over(report.key_expires, self.now) {
            return SignatureState::KeyExpired;
        }
        let in_force = valid.alive().is_ok() && own.alive().is_ok() && own.for_signing();
        if in_force { SignatureState::Good } else { SignatureState::Bad }
    }
}

/// Whether the certificate as a whole has ended.
pub(super) fn has_ended(valid: &ValidCert<'_>, now: u64) -> bool {
    is_over(valid.primary_key().key_expiration_time().map_or(0, seconds), now)
}

/// Whether a time, 0 meaning never, has come.
pub(super) fn is_over(expires: i64, now: u64) -> bool {
    expires > 0 && expires.unsigned_abs() <= now
}

/// Seconds since 1970; OpenPGP has no earlier times.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The parts of a user id.
pub(super) struct UserName {
    pub name: String,
    pub comment: String,
    pub email: String,
}

/// `NAME (COMMENT) <ADDRESS>`, all but the name being optional; a lone address is no name.
pub(super) fn user_name(text: &str) -> UserName {
    let (rest, email) = match text.rsplit_once('<') {
        Some((rest, address)) => (rest, address.split('>').next().unwrap_or_default()),
        None if text.contains('@') && !text.contains(' ') => ("", text),
        None => (text, ""),
    };
    let (name, comment) = match rest.split_once('(') {
        Some((name, comment)) => (name, comment.split(')').next().unwrap_or_default()),
        None => (rest, ""),
    };
    let owned = |part: &str| part.trim().to_string();
    UserName { name: owned(name), comment: owned(comment), email: owned(email) }
}

fn public_key_name(algorithm: PublicKeyAlgorithm) -> &'static str {
    #[allow(deprecated, reason = "old signatures name them")]
    match algorithm {
        PublicKeyAlgorithm::RSAEncryptSign | PublicKeyAlgorithm::RSASign => "RSA",
        PublicKeyAlgorithm::DSA => "DSA",
        PublicKeyAlgorithm::ECDSA => "ECDSA",
        PublicKeyAlgorithm::EdDSA | PublicKeyAlgorithm::Ed25519 | PublicKeyAlgorithm::Ed448 => {
            "EdDSA"
        }
        _ => "[unknown name]",
    }
}

fn hash_name(algorithm: HashAlgorithm) -> &'static str {
    match algorithm {
        HashAlgorithm::MD5 => "MD5",
        HashAlgorithm::SHA1 => "SHA1",
        HashAlgorithm::RipeMD => "RIPEMD160",
        HashAlgorithm::SHA224 => "SHA224",
        HashAlgorithm::SHA256 => "SHA256",
        HashAlgorithm::SHA384 => "SHA384",
        HashAlgorithm::SHA512 => "SHA512",
        _ => "[unknown name]",
    }
}
