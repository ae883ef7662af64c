//! Keys as text and as files.

use data_encoding::BASE64;

use crate::{Result, SignError, SignType};

/// Largest key of any type, in bytes; libostree has the same limit on metadata.
const KEY_LIMIT: usize = 1 << 20;
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";
const PEM_DASHES: &str = "-----";

/// The bytes of a key given as one word.
pub(crate) fn from_text(ty: SignType, role: &'static str, text: &str) -> Result<Vec<u8>> {
    match ty {
        SignType::Dummy => Ok(text.as_bytes().to_vec()),
        SignType::Ed25519 | SignType::Spki => base64(ty, role, text),
    }
}

/// The keys in the content of a file. A key that cannot be decoded is an error of its own; a
/// file whose form is broken gives none.
pub(crate) fn blobs(
    ty: SignType,
    content: &[u8],
    role: &'static str,
    label: &str,
) -> Result<Vec<Result<Vec<u8>>>> {
    let text = String::from_utf8_lossy(content);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    match ty {
        SignType::Ed25519 => Ok(lines().map(|line| base64(ty, role, line)).collect()),
        SignType::Dummy => Ok(lines().map(|line| Ok(line.as_bytes().to_vec())).collect()),
        SignType::Spki => pem(lines(), role, label),
    }
}

fn base64(ty: SignType, role: &'static str, text: &str) -> Result<Vec<u8>> {
    let problem = |problem: String| SignError::Key { ty, role, problem };
    if text.len() > KEY_LIMIT {
        return Err(problem(format!("{} bytes long", text.len())));
    }
    let compact: String = text.split_ascii_whitespace().collect();
    BASE64.decode(compact.as_bytes()).map_err(|e| problem(format!("not base64: {e}")))
}

fn pem<'a>(
    mut lines: impl Iterator<Item = &'a str>,
    role: &'static str,
    wanted: &str,
) -> Result<Vec<Result<Vec<u8>>>> {
    let mut blobs = Vec::new();
    while let Some(line) = lines.next() {
        let Some(label) = delimiter(line, PEM_BEGIN) else { continue };
        let mut body = String::new();
        loop {
            let line = lines
                .next()
                .ok_or_else(|| SignError::KeyFile("PEM trailer not found".to_string()))?;
            match delimiter(line, PEM_END) {
                Some(end) if end == label => break,
                Some(_) => return Err(SignError::KeyFile("Unmatched PEM header".to_string())),
                None => body.push_str(line),
            }
        }
        if label != wanted {
            return Err(SignError::KeyFile(format!("Unexpected label \"{label}\"")));
        }
        blobs.push(base64(SignType::Spki, role, &body));
    }
    Ok(blobs)
}

fn delimiter<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(PEM_DASHES)
}
