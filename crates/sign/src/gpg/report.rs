/// What became of one OpenPGP signature.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// It holds, and signature, key and certificate are in force.
    Good,
    /// The key that made it is in no keyring.
    KeyMissing,
    /// The key that made it was revoked.
    KeyRevoked,
    /// The key that made it, or its certificate, has expired.
    KeyExpired,
    /// The signature was made for a time that is over.
    SignatureExpired,
    /// It is of other data, or it breaks the rules for signatures.
    Bad,
}

/// One signature, as libostree describes it. Times are seconds since 1970, 0 means never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureReport {
    /// The index of the blob it was in, among those that were given to be verified.
    pub blob: usize,
    /// The verdict.
    pub state: SignatureState,
    /// Of the key that made it, in upper case hexadecimal; only the key's id where no more is
    /// known.
    pub fingerprint: String,
    /// Of the certificate of that key; empty where it is unknown.
    pub fingerprint_primary: String,
    /// When it was made.
    pub timestamp: i64,
    /// When it ends.
    pub expires: i64,
    /// `RSA`, `DSA`, `EdDSA`, `ECDSA`.
    pub public_key_algorithm: &'static str,
    /// `SHA256` and so on.
    pub hash_algorithm: &'static str,
    /// Name in the first user id.
    pub user_name: String,
    /// Address in the first user id.
    pub user_email: String,
    /// When the key that made it ends.
    pub key_expires: i64,
    /// When the certificate ends.
    pub primary_expires: i64,
}

impl SignatureReport {
    /// Whether it counts.
    pub fn is_valid(&self) -> bool {
        self.state == SignatureState::Good
    }

    /// The lines of `ostree show` about it, each after `prefix` and ended by a newline; `time`
    /// puts seconds since 1970 into words.
    pub fn describe(&self, prefix: &str, time: impl Fn(i64) -> String) -> String {
        let who = format!("from \"{} <{}>\"", self.user_name, self.user_email);
        let mut lines = vec![format!(
            "Signature made {} using {} key ID {}",
            time(self.timestamp),
            self.public_key_algorithm,
            key_id(&self.fingerprint)
        )];
        lines.push(match self.state {
            SignatureState::KeyMissing => "Can't check signature: public key not found".to_string(),
            SignatureState::Good => format!("Good signature {who}"),
            SignatureState::KeyRevoked => "Key revoked".to_string(),
            SignatureState::SignatureExpired => format!("Expired signature {who}"),
            // As in libostree, the line about the key's end tells this from a forged one.
            SignatureState::KeyExpired | SignatureState::Bad => format!("BAD signature {who}"),
        });
        let by_subkey = self.fingerprint != self.fingerprint_primary;
        if self.state != SignatureState::KeyMissing && by_subkey {
            lines.push(format!("Primary key ID {}", key_id(&self.fingerprint_primary)));
        }
        let key_ended = self.state == SignatureState::KeyExpired;
        let mut ends = |what: &str, at: i64, over: bool| {
            if at > 0 {
                let verb = if over { "expired" } else { "expires" };
                lines.push(format!("{what} {verb} {}", time(at)));
            }
        };
        ends("Signature", self.expires, self.state == SignatureState::SignatureExpired);
        ends("Key", self.key_expires, key_ended);
        if by_subkey {
            ends("Primary key", self.primary_expires, key_ended);
        }
        lines.iter().map(|line| format!("{prefix}{line}\n")).collect()
    }
}

/// The last 16 digits of a fingerprint.
fn key_id(fingerprint: &str) -> &str {
    let start = fingerprint.len().saturating_sub(16);
    fingerprint.get(start..).unwrap_or(fingerprint)
}

/// A certificate of a keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The primary key, then those it carries.
    pub subkeys: Vec<SubkeyInfo>,
    /// Whom it belongs to.
    pub user_ids: Vec<UserIdInfo>,
}

/// One key of a certificate. Times are seconds since 1970, 0 means never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubkeyInfo {
    /// Upper case hexadecimal.
    pub fingerprint: String,
    /// When it was made.
    pub created: i64,
    /// When it ends.
    pub expires: i64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it has ended.
    pub expired: bool,
    /// Whether it cannot be used for another reason.
    pub invalid: bool,
}

/// One user id of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdInfo {
    /// The whole text.
    pub uid: String,
    /// The part before the address.
    pub name: String,
    /// The part in brackets.
    pub comment: String,
    /// The address.
    pub email: String,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it is not bound to the key.
    pub invalid: bool,
}
