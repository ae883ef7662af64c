//! `KEY=VALUE` arguments and small words of the command line.

use std::path::Path;

use trefoil_format::gvariant::Value;

use crate::error::{CliError, Context as _, Result};
use crate::user_files;

/// Splits metadata at the first `=`.
pub fn metadata(text: &str) -> Result<(&str, &str)> {
    text.split_once('=')
        .ok_or_else(|| CliError::failed(format!("Missing '=' in KEY=VALUE metadata '{text}'")))
}

/// `KEY=VALUE` where the value is text.
pub fn metadata_string(text: &str) -> Result<(String, Value)> {
    let (key, value) = metadata(text)?;
    Ok((key.to_string(), Value::Str(value.to_string())))
}

/// `KEY=VALUE` where the value is in GVariant's text form.
pub fn metadata_variant(text: &str) -> Result<(String, Value)> {
    let (key, value) = metadata(text)?;
    let value = Value::parse_text(value).context(format!("Parsing {text}"))?;
    Ok((key.to_string(), value))
}

/// A truth value in the words `ostree` takes, as in `--fsync=no`.
pub fn boolean(text: &str) -> std::result::Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" | "none" => Ok(false),
        _ => Err(format!("Invalid boolean argument '{text}'")),
    }
}

/// The lines of a file; empty ones are left out.
pub fn lines(path: &Path) -> Result<Vec<String>> {
    let text = user_files::read(path)?;
    Ok(text.lines().filter(|l| !l.is_empty()).map(str::to_string).collect())
}
