//! `config`: settings of the repository.

use clap::Args;

use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// What to do: get KEY, set KEY VALUE, or unset KEY
    #[arg(value_name = "(get KEY|set KEY VALUE|unset KEY)")]
    arguments: Vec<String>,
    /// Group name
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Only say what set or unset would change
    #[arg(long)]
    dry_run: bool,
    /// Print the value as JSON (with get)
    #[arg(long)]
    json: bool,
}

/// Runs `config`.
pub fn run(args: ConfigArgs, cx: &Context) -> Result<()> {
    let mut repo = cx.open_repo()?;
    let [operation, words @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("OPERATION must be specified"));
    };
    let wanted = if operation == "set" { 2 } else { 1 };
    if words.len() > wanted {
        return Err(CliError::usage("Too many arguments given"));
    }
    if !["get", "set", "unset"].contains(&operation.as_str()) {
        return Err(CliError::failed(format!("Unknown operation {operation}")));
    }
    if words.len() < wanted {
        return Err(CliError::failed(missing(operation, args.group.is_some())));
    }
    let (group, key) = split_key(args.group.as_deref(), &words[0])?;
    let mut file = repo.config().key_file.clone();
    match operation.as_str() {
        "get" => {
            let value = file.string(group, key).ok_or_else(|| {
                let known = file.has_group(group);
                CliError::failed(not_found(known, group, key))
            })?;
            if args.json { cx.ui.json(&value) } else { cx.ui.line(value) }
        }
        "set" => {
            let old = file.string(group, key);
            file.set_string(group, key, &words[1])?;
            if args.dry_run {
                repo.check_config(&file)?;
                let now = old.map_or("not set".to_string(), |old| format!("now {old}"));
                return cx.ui.line(format_args!("{group}.{key} would be {} ({now})", words[1]));
            }
            Ok(repo.write_config(file)?)
        }
        _ => {
            let is_set = file.remove_key(group, key);
            if args.dry_run {
                repo.check_config(&file)?;
                return cx.ui.line(match is_set {
                    true => format!("{group}.{key} would be unset"),
                    false => format!("{group}.{key} is not set"),
                });
            }
            if is_set {
                repo.write_config(file)?;
            }
            Ok(())
        }
    }
}

fn missing(operation: &str, grouped: bool) -> &'static str {
    match (operation, grouped) {
        ("set", true) => "GROUP name, KEY and VALUE must be specified",
        ("set", false) => "KEY and VALUE must be specified",
        (_, true) => "Group name and key must be specified",
        (_, false) => "KEY must be specified",
    }
}

fn split_key<'a>(group: Option<&'a str>, key: &'a str) -> Result<(&'a str, &'a str)> {
    match group {
        Some(group) => Ok((group, key)),
        None => key
            .split_once('.')
            .ok_or_else(|| CliError::failed("Key must be of the form \"sectionname.keyname\"")),
    }
}

/// The words of GLib.
fn not_found(group_known: bool, group: &str, key: &str) -> String {
    if group_known {
        format!("Key file does not have key \u{201c}{key}\u{201d} in group \u{201c}{group}\u{201d}")
    } else {
        format!("Key file does not have group \u{201c}{group}\u{201d}")
    }
}
