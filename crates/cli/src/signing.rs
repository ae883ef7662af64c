//! Signing what was made: the options of `commit` and `summary`, and the appending of
//! signatures.

use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_format::gvariant::Metadata;
use trefoil_repo::Repo;
use trefoil_repo::verify::{KeyringOf, gpg_signatures, key_file, keyring};
use trefoil_sign::gpg::METADATA_KEY;
use trefoil_sign::{SecretKey, SignType, append_signature};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{gpg_program, keys};

/// Whose signatures are put on what is made.
#[derive(Args, Clone, Debug, Default)]
pub struct SignArgs {
    /// GPG Key ID to sign with
    #[arg(long, value_name = "KEY-ID")]
    pub gpg_sign: Vec<String>,
    /// GPG Homedir to use when looking for keyrings
    #[arg(long, value_name = "HOMEDIR")]
    pub gpg_homedir: Option<PathBuf>,
    /// Sign with this secret key
    #[arg(long, value_name = "KEY")]
    pub sign: Vec<String>,
    /// Signature type to use (defaults to 'ed25519')
    #[arg(long, value_name = "NAME")]
    pub sign_type: Option<String>,
}

/// Keys that are ready to sign.
#[derive(Debug, Default)]
pub struct Signers {
    secret: Vec<SecretKey>,
    gpg: Vec<String>,
    gpg_homedir: Option<PathBuf>,
}

impl SignArgs {
    /// Reads the keys, also those in `files`, before anything is made that they should sign.
    ///
    /// # Errors
    /// A key that cannot be read, a type that does not exist, and a type without a key: nothing
    /// would be signed, although someone wants it to be.
    pub fn signers(&self, cx: &Context, files: &[PathBuf]) -> Result<Signers> {
        if let Some(name) = &self.sign_type
            && self.sign.is_empty()
            && files.is_empty()
        {
            let text = format!("--sign-type={name} needs a key to sign with, as --sign=KEY");
            return Err(CliError::failed(text));
        }
        let secret = match self.sign.is_empty() && files.is_empty() {
            true => Vec::new(),
            false => secrets(cx, keys::sign_type(self.sign_type.as_deref())?, &self.sign, files)?,
        };
        Ok(Signers { secret, gpg: self.gpg_sign.clone(), gpg_homedir: self.gpg_homedir.clone() })
    }
}

/// The secret keys in `texts` and in `files`.
pub fn secrets(
    cx: &Context,
    ty: SignType,
    texts: &[String],
    files: &[PathBuf],
) -> Result<Vec<SecretKey>> {
    keys::check_allowed(ty)?;
    let mut secret = Vec::new();
    for text in texts {
        secret.push(SecretKey::from_text(ty, text)?);
    }
    for path in files {
        secret.extend(secret_keys(cx, ty, path)?);
    }
    Ok(secret)
}

/// The secret keys in a file.
pub fn secret_keys(cx: &Context, ty: SignType, path: &Path) -> Result<Vec<SecretKey>> {
    let keys = SecretKey::from_file(ty, &key_file(&cx.fs, path)?)?;
    match keys.is_empty() {
        true => Err(CliError::failed(format!("no {ty} key in file '{}'", path.display()))),
        false => Ok(keys),
    }
}

impl Signers {
    /// Signers that use `gpg` alone.
    pub fn gpg(ids: Vec<String>, homedir: Option<PathBuf>) -> Signers {
        Signers { secret: Vec::new(), gpg: ids, gpg_homedir: homedir }
    }

    /// Signers of one type other than OpenPGP.
    pub fn secret(keys: Vec<SecretKey>) -> Signers {
        Signers { secret: keys, ..Signers::default() }
    }

    /// Whether nothing will be signed.
    pub fn is_empty(&self) -> bool {
        self.secret.is_empty() && self.gpg.is_empty()
    }

    /// Puts a signature of `data` by each key into `metadata`.
    ///
    /// # Errors
    /// One of the keys cannot sign, or its OpenPGP signature of `data` is there already.
    pub fn sign(&self, repo: &Repo, data: &[u8], metadata: &mut Metadata) -> Result<()> {
        for key in &self.secret {
            append_signature(metadata, key.ty().metadata_key(), key.sign(data)?);
        }
        for id in &self.gpg {
            self.refuse_signed(repo, data, metadata, id)?;
            let signature = gpg_program::sign(data, id, self.gpg_homedir.as_deref())?;
            append_signature(metadata, METADATA_KEY, signature);
        }
        Ok(())
    }

    /// Does what [`Signers::sign`] does but for running `gpg`, whose keys may want a passphrase:
    /// of those only what was signed before is found out. Gives the number of signatures.
    ///
    /// # Errors
    /// As of [`Signers::sign`].
    pub fn try_sign(&self, repo: &Repo, data: &[u8], metadata: &Metadata) -> Result<usize> {
        for key in &self.secret {
            key.sign(data)?;
        }
        for id in &self.gpg {
            self.refuse_signed(repo, data, metadata, id)?;
        }
        Ok(self.secret.len() + self.gpg.len())
    }

    fn refuse_signed(&self, repo: &Repo, data: &[u8], metadata: &Metadata, id: &str) -> Result<()> {
        match self.has_signed(repo, data, metadata, id)? {
            true => {
                let text = format!("Commit is already signed with GPG key {id}");
                Err(CliError::failed(text))
            }
            false => Ok(()),
        }
    }

    /// Whether a signature by the certificate that `id` names is among those in `metadata`, as
    /// far as the keyrings at hand know it.
    fn has_signed(&self, repo: &Repo, data: &[u8], metadata: &Metadata, id: &str) -> Result<bool> {
        let Some(signatures) = gpg_signatures(metadata)? else { return Ok(false) };
        let sources = keys::sources(None);
        let of = match &self.gpg_homedir {
            Some(path) => KeyringOf::SystemAnd(path.clone()),
            None => KeyringOf::System,
        };
        let ring = keyring(repo, &of, &sources)?;
        let Some(fingerprint) = ring.primary_fingerprint(id) else { return Ok(false) };
        let reports = ring.verify(data, &signatures, sources.now)?;
        Ok(reports.iter().any(|report| report.fingerprint_primary == fingerprint))
    }
}
