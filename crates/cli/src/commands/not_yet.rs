//! Verbs of `ostree` that are not there yet: they fail and say so.

use std::ffi::OsString;

use clap::Args;

use crate::error::{CliError, Result};

/// Takes any arguments, so that the message is about the verb and not about an option.
#[derive(Args, Debug)]
pub struct NotYetArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

/// Fails in the name of `verb`.
pub fn run(verb: &str) -> Result<()> {
    Err(CliError::not_yet(format!("'{verb}'")))
}
