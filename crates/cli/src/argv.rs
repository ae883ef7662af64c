//! Finds the verb in the arguments, wherever it stands.
//!
//! `ostree` takes the first word that is not an option for the verb and lets options stand
//! on both sides of it; for its groups (`remote`, `admin`) the next word is the verb within.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// The arguments with the verbs pulled to the front.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The verbs found, outermost first, for example `remote`, `add`.
    pub path: Vec<String>,
    /// A word where a verb was expected that names none.
    pub unknown: Option<OsString>,
    /// Everything else, in order.
    pub rest: Vec<OsString>,
}

impl Arguments {
    /// Splits `args`, which lacks the program name, by the verbs of `root`. The global options
    /// need not have been carried into the verbs.
    pub fn split(args: &[OsString], root: &Command) -> Self {
        let mut found = Arguments::default();
        let mut command = root;
        let mut around = vec![root];
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if !command.has_subcommands() || arg == "--" {
                found.rest.push(arg.clone());
                found.rest.extend(args.cloned());
                break;
            }
            if is_option(arg) {
                found.rest.push(arg.clone());
                if takes_next(arg, &around) {
                    found.rest.extend(args.next().cloned());
                }
                continue;
            }
            match arg.to_str().and_then(|name| command.find_subcommand(name)) {
                Some(sub) => {
                    found.path.push(sub.get_name().to_string());
                    command = sub;
                    around.push(sub);
                }
                None => {
                    found.unknown = Some(arg.clone());
                    found.rest.extend(args.cloned());
                    break;
                }
            }
        }
        found
    }
}

fn is_option(arg: &OsStr) -> bool {
    arg.as_encoded_bytes().starts_with(b"-") && arg.len() > 1
}

/// Whether `arg` is an option known here, at the last of `commands` or as a global one of those
/// before, whose value is the next argument. Options of a verb that stand before it need `=`, as
/// with `ostree`.
fn takes_next(arg: &OsStr, commands: &[&Command]) -> bool {
    let Some(name) = arg.to_str().and_then(|a| a.strip_prefix("--")) else { return false };
    commands.iter().enumerate().any(|(at, command)| {
        let here = at + 1 == commands.len();
        let mut known = command.get_arguments().filter(|a| here || a.is_global_set());
        known.any(|a| a.get_long() == Some(name) && a.get_action().takes_values())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &[&str]) -> Arguments {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        Arguments::split(&args, &crate::app::definition())
    }

    /// Guards that scripts which put options before the verb keep working.
    #[test]
    fn the_verb_is_found_behind_options() {
        let found = split(&["--repo=r", "--depth=0", "pull", "origin"]);
        assert_eq!(found.path, ["pull"]);
        assert_eq!(found.rest, ["--repo=r", "--depth=0", "origin"]);
        let found = split(&["--repo", "refs", "remote", "-u", "list"]);
        assert_eq!(found.path, ["remote", "list"]);
        assert_eq!(found.rest, ["--repo", "refs", "-u"]);
        let found = split(&["admin", "--repo", "status", "--sysroot", "deploy", "pin", "0"]);
        assert_eq!(found.path, ["admin", "pin"]);
    }

    /// Guards that only words in the place of a verb count as unknown verbs.
    #[test]
    fn an_unknown_verb_is_named() {
        assert_eq!(split(&["nosuch", "x"]).unknown.as_deref(), Some(OsStr::new("nosuch")));
        assert_eq!(split(&["ls", "nosuch"]).unknown, None);
        assert_eq!(split(&["remote", "nosuch"]).path, ["remote"]);
    }
}
