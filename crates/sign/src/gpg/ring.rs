use std::time::{Duration, SystemTime};

use sequoia_openpgp::cert::amalgamation::ValidAmalgamation;
use sequoia_openpgp::cert::{Cert, CertParser, ValidCert};
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy, StandardPolicy};
use sequoia_openpgp::serialize::Marshal;
use sequoia_openpgp::types::{HashAlgorithm, RevocationStatus};

use super::verdict::{self, UserName, seconds};
use super::{KeyInfo, SignatureReport, SubkeyInfo, UserIdInfo};
use crate::{Result, SignError};

const ARMOR: &[u8] = b"-----BEGIN PGP";

/// Public keys with what was said about them: one certificate per key, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    certs: Vec<Cert>,
}

/// What signatures have to be like. SHA-1 is enough where a key speaks about itself, as keys of
/// old do; a signature of data with it counts for nothing, which is stricter than `gpg`.
pub(super) fn policy() -> StandardPolicy<'static> {
    let mut policy = StandardPolicy::new();
    policy.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
    policy
}

pub(super) fn system_time(now: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(now));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Keyring {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.certs.is_empty()
    }

    /// Adds the certificates in `content`: OpenPGP packets, or any number of armoured blocks.
    /// What is said about the same key in several places is joined, so that a revocation counts
    /// wherever it lies. Secret keys are left out. Gives the number of certificates read.
    ///
    /// # Errors
    /// There is none; ones that cannot be read beside ones that can are passed over.
    pub fn add(&mut self, content: &[u8]) -> Result<usize> {
        let mut count = 0;
        let mut problem = None;
        for block in blocks(content) {
            match CertParser::from_bytes(block) {
                Err(error) => problem = Some(error.to_string()),
                Ok(parser) => {
                    for cert in parser {
                        match cert {
                            Ok(cert) => {
                                self.merge(cert.strip_secret_key_material())?;
                                count += 1;
                            }
                            Err(error) => problem = Some(error.to_string()),
                        }
                    }
                }
            }
        }
        match (count, problem) {
            (0, problem) => Err(SignError::Gpg {
                what: "Unable to import keys",
                problem: problem.unwrap_or_else(|| "no OpenPGP keys".to_string()),
            }),
            (count, _) => Ok(count),
        }
    }

    /// True where the key was not there before.
    fn merge(&mut self, cert: Cert) -> Result<bool> {
        let fingerprint = cert.fingerprint();
        let Some(own) = self.certs.iter_mut().find(|own| own.fingerprint() == fingerprint) else {
            self.certs.push(cert);
            return Ok(true);
        };
        *own = own.clone().merge_public(cert).map_err(|e| SignError::Gpg {
            what: "Unable to import keys",
            problem: e.to_string(),
        })?;
        Ok(false)
    }

    /// Adds certificates of `source`: all, or those named by fingerprint, key id, or a part of a
    /// user id. Gives the number of keys that were not there.
    ///
    /// # Errors
    /// A name that fits no key; nothing is added.
    pub fn import(&mut self, source: &Keyring, wanted: &[String]) -> Result<usize> {
        let mut chosen: Vec<&Cert> = Vec::new();
        for name in wanted {
            let cert = source.find(name).ok_or_else(|| SignError::Gpg {
                what: "Unable to find key",
                problem: format!("\"{name}\""),
            })?;
            chosen.push(cert);
        }
        if wanted.is_empty() {
            chosen.extend(&source.certs);
        }
        let mut added = 0;
        for cert in chosen {
            added += usize::from(self.merge(cert.clone())?);
        }
        Ok(added)
    }

    fn find(&self, name: &str) -> Option<&Cert> {
        let hex = name.strip_prefix("0x").unwrap_or(name).to_ascii_uppercase();
        let is_id = hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let by_id = |cert: &&Cert| {
            is_id && cert.keys().any(|key| key.key().fingerprint().to_hex().ends_with(&hex))
        };
        let lower = name.to_lowercase();
        let by_user = |cert: &&Cert| {
            cert.userids().any(|uid| {
                String::from_utf8_lossy(uid.userid().value()).to_lowercase().contains(&lower)
            })
        };
        self.certs.iter().find(by_id).or_else(|| self.certs.iter().find(by_user))
    }

    /// The fingerprint of the certificate that `id` names, in upper case hexadecimal.
    pub fn primary_fingerprint(&self, id: &str) -> Option<String> {
        self.find(id).map(|cert| cert.fingerprint().to_hex())
    }

    /// The keyring as OpenPGP packets, as `gpg` and libostree read it.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for cert in &self.certs {
            cert.export(&mut bytes).map_err(|e| SignError::Gpg {
                what: "Unable to export keys",
                problem: e.to_string(),
            })?;
        }
        Ok(bytes)
    }

    /// What became of each of the detached `signatures` of `data`, `now` being seconds since
    /// 1970. A blob may hold several signatures; [`SignatureReport::blob`] tells which it was.
    ///
    /// # Errors
    /// None of the blobs holds a signature.
    pub fn verify(
        &self,
        data: &[u8],
        signatures: &[&[u8]],
        now: u64,
    ) -> Result<Vec<SignatureReport>> {
        verdict::verify(&self.certs, data, signatures, now)
    }

    /// The certificates with their state.
    ///
    /// # Errors
    /// None with this library.
    pub fn keys(&self, now: u64) -> Result<Vec<KeyInfo>> {
        let policy = policy();
        Ok(self.certs.iter().map(|cert| key_info(cert, &policy, now)).collect())
    }
}

/// Armoured blocks one by one; anything else is one block.
fn blocks(content: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = content
        .windows(ARMOR.len())
        .enumerate()
        .filter(|(at, window)| *window == ARMOR && (*at == 0 || content[at - 1] == b'\n'))
        .map(|(at, _)| at)
        .collect();
    if starts.is_empty() {
        return vec![content];
    }
    starts.push(content.len());
    starts.windows(2).map(|pair| &content[pair[0]..pair[1]]).collect()
}

fn key_info(cert: &Cert, policy: &dyn Policy, now: u64) -> KeyInfo {
    let time = system_time(now);
    let valid = cert.with_policy(policy, time).ok();
    let revoked = matches!(cert.revocation_status(policy, time), RevocationStatus::Revoked(_));
    let cert_over = valid.as_ref().is_some_and(|valid| verdict::has_ended(valid, now));
    let subkeys = cert.keys().map(|key| {
        let fingerprint = key.key().fingerprint();
        let found = valid
            .as_ref()
            .and_then(|valid| valid.keys().find(|k| k.key().fingerprint() == fingerprint));
        let expires = found.as_ref().and_then(|key| key.key_expiration_time()).map_or(0, seconds);
        let own = found
            .as_ref()
            .is_some_and(|key| matches!(key.revocation_status(), RevocationStatus::Revoked(_)));
        SubkeyInfo {
            created: seconds(key.key().creation_time()),
            expires,
            revoked: revoked || own,
            expired: cert_over || verdict::is_over(expires, now),
            invalid: found.is_none(),
            fingerprint: fingerprint.to_hex(),
        }
    });
    KeyInfo { subkeys: subkeys.collect(), user_ids: user_ids(cert, valid.as_ref(), policy, now) }
}

fn user_ids(
    cert: &Cert,
    valid: Option<&ValidCert<'_>>,
    policy: &dyn Policy,
    now: u64,
) -> Vec<UserIdInfo> {
    let time = system_time(now);
    let cert_revoked = matches!(cert.revocation_status(policy, time), RevocationStatus::Revoked(_));
    let infos = cert.userids().map(|uid| {
        let text = String::from_utf8_lossy(uid.userid().value()).into_owned();
        let UserName { name, comment, email } = verdict::user_name(&text);
        let own = matches!(uid.revocation_status(policy, time), RevocationStatus::Revoked(_));
        let bound = valid.is_some_and(|valid| {
            valid.userids().any(|other| other.userid().value() == uid.userid().value())
        });
        UserIdInfo {
            uid: text,
            name,
            comment,
            email,
            revoked: cert_revoked || own,
            invalid: !bound,
        }
    });
    infos.collect()
}
