use crate::algorithm::PublicKey;
use crate::{Result, SignError, SignType, key_file};

/// The public keys of one type that count, and those that do not count any more.
#[derive(Clone, Debug)]
pub struct Verifier {
    ty: SignType,
    trusted: Vec<PublicKey>,
    revoked: Vec<Vec<u8>>,
}

impl Verifier {
    /// No key yet.
    pub fn new(ty: SignType) -> Self {
        Verifier { ty, trusted: Vec::new(), revoked: Vec::new() }
    }

    /// The type of signature.
    pub fn ty(&self) -> SignType {
        self.ty
    }

    /// Whether no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Trusts the key in `text`: base64, for `dummy` the word itself. For `dummy` it takes the
    /// place of the one before.
    ///
    /// # Errors
    /// No key of this type.
    pub fn trust_text(&mut self, text: &str) -> Result<()> {
        let bytes = key_file::from_text(self.ty, "public", text)?;
        self.trust(&bytes)
    }

    /// Trusts the keys in the content of a file: lines of base64 for `ed25519`, PEM for `spki`,
    /// one word a line for `dummy`. Gives their number. As in libostree, keys that are none are
    /// passed over as long as there is one that is.
    ///
    /// # Errors
    /// There is no good key in it, or its form is broken.
    pub fn trust_file(&mut self, content: &[u8]) -> Result<usize> {
        self.each_of_file(content, "public", Verifier::trust)
    }

    /// Takes back the trust in the keys of a file: they do not count, whoever trusts them.
    ///
    /// # Errors
    /// As [`Verifier::trust_file`].
    pub fn revoke_file(&mut self, content: &[u8]) -> Result<usize> {
        self.each_of_file(content, "revoked", |verifier, bytes| {
            PublicKey::parse(verifier.ty, "revoked", bytes)?;
            if !verifier.revoked.iter().any(|own| own == bytes) {
                verifier.revoked.push(bytes.to_vec());
            }
            Ok(())
        })
    }

    fn each_of_file(
        &mut self,
        content: &[u8],
        role: &'static str,
        mut add: impl FnMut(&mut Self, &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let mut added = 0;
        let mut first_error = None;
        for bytes in key_file::blobs(self.ty, content, role, "PUBLIC KEY")? {
            match bytes.and_then(|bytes| add(self, &bytes)) {
                Ok(()) => added += 1,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match (added, first_error) {
            (0, Some(error)) => Err(error),
            (0, None) => Err(SignError::NoKeys { ty: self.ty }),
            (added, _) => Ok(added),
        }
    }

    fn trust(&mut self, bytes: &[u8]) -> Result<()> {
        let key = PublicKey::parse(self.ty, "public", bytes)?;
        if self.ty == SignType::Dummy {
            self.trusted.clear();
        }
        if !self.trusted.iter().any(|own| own.bytes() == bytes) {
            self.trusted.push(key);
        }
        Ok(())
    }

    /// Says with which key one of the `signatures` of `data` holds, in libostree's words.
    ///
    /// # Errors
    /// There are no signatures (`None`), none holds with a trusted key that is not revoked, or
    /// there is no key.
    pub fn verify(&self, data: &[u8], signatures: Option<&[&[u8]]>) -> Result<String> {
        let signatures = signatures.ok_or(SignError::Missing { ty: self.ty })?;
        if self.trusted.is_empty() {
            return Err(SignError::NoKeys { ty: self.ty });
        }
        let mut tried = 0;
        let mut keys = Vec::new();
        for signature in signatures {
            // The key that was added last comes first, as in libostree.
            for key in self.trusted.iter().rev() {
                if self.revoked.iter().any(|revoked| revoked == key.bytes()) {
                    continue;
                }
                if key.verify(data, signature)? {
                    return Ok(match self.ty {
                        SignType::Dummy => "dummy: Signature verified".to_string(),
                        ty => format!(
                            "{ty}: Signature verified successfully with key '{}'",
                            key.to_hex()
                        ),
                    });
                }
                tried += 1;
                if keys.len() < 3 {
                    keys.push(key.to_hex());
                }
            }
        }
        Err(SignError::Refused { ty: self.ty, tried, keys })
    }
}
