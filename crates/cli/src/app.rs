//! From the arguments to the exit code.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use trefoil_fsat::Fs;

use crate::argv::Arguments;
use crate::commands::{Verb, admin::thaw_watchdog};
use crate::context::{Context, GlobalOptions};
use crate::error::{CliError, Result};
use crate::ui::Ui;
use crate::{environment, help, version};

/// OSTree repositories and deployments, where every step costs what changed
#[derive(Parser, Debug)]
#[command(
    name = "trefoil",
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_override_self = true,
    infer_long_args = false
)]
struct Top {
    #[command(flatten)]
    _global: GlobalOptions,
}

/// What was asked for.
#[derive(Args, Debug)]
struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// The definition of all verbs, with the global options carried into each. It takes longer than
/// many a verb, so only what shows or lists verbs asks for it.
pub fn command() -> clap::Command {
    let mut command = lenient(definition());
    command.build();
    command
}

/// The same as it is written down: neither lenient nor with the global options carried on.
pub fn definition() -> clap::Command {
    Verb::augment_subcommands(Top::command())
}

/// As [`definition`], of verbs that are not among `args` nothing but the name: no other can be
/// meant, and all definitions together take as long as a small commit.
fn definition_for(args: &[OsString]) -> clap::Command {
    Verb::ARGUMENTS.iter().fold(Top::command(), |command, (name, arguments)| {
        let verb = clap::Command::new(*name);
        let asked = args.iter().any(|arg| arg == name);
        command.subcommand(if asked { arguments(verb) } else { verb })
    })
}

/// Leaves nothing but names of the verbs that are not on `path`.
fn only(command: clap::Command, path: &[String]) -> clap::Command {
    let Some((verb, below)) = path.split_first() else { return command };
    command.mut_subcommands(|sub| match sub.get_name() == verb {
        true => only(sub, below),
        false => clap::Command::new(sub.get_name().to_string()),
    })
}

/// `ostree` takes whatever follows an option for its value, so `--depth -1` works, and does not
/// look at arguments behind those it wants.
fn lenient(command: clap::Command) -> clap::Command {
    let takes_all = command.has_subcommands()
        || command.get_positionals().any(|arg| matches!(arg.get_action(), ArgAction::Append));
    let command = match takes_all {
        true => command,
        false => {
            let ignored = Arg::new("ignored").action(ArgAction::Append).num_args(0..);
            command.arg(ignored.hide(true))
        }
    };
    command
        .mut_args(|arg| {
            let option = !arg.is_positional() && arg.get_action().takes_values();
            if option { arg.allow_hyphen_values(true) } else { arg }
        })
        .mut_subcommands(lenient)
}

/// Runs the program with `args`, the first being its own name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    if let Some(code) = thaw_watchdog::run_early(&args) {
        return code;
    }
    let name = program_name(args.first());
    let definition = definition_for(&args);
    let found = Arguments::split(args.get(1..).unwrap_or_default(), &definition);
    if found.path.is_empty()
        && let Some(error) = found.unknown.as_deref().and_then(|verb| exec_extension(verb, &args))
    {
        return report(&Ui::default(), &error, name, &found.path);
    }
    let mut ui = Ui::default();
    match parse(definition, &found) {
        Err(error) => report(&ui, &error, name, &found.path),
        Ok((cli, dry_run)) => {
            ui.verbose = cli.global.verbose;
            let cx = Context { global: cli.global.clone(), dry_run, ui, fs: Fs::new() };
            match dispatch(cli, &cx, &found, name).and_then(|()| cx.ui.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => report(&cx.ui, &error, name, &found.path),
            }
        }
    }
}

/// The help of the verb at `path`.
fn help_text(name: &str, path: &[String]) -> String {
    let whole = if name == "ostree" { without_own_verbs(command()) } else { command() };
    help::text(&whole, name, path)
}

/// The help of `ostree` lists what `ostree` has.
fn without_own_verbs(command: clap::Command) -> clap::Command {
    let own = ["bench", "demo", "dev", "image", "serve", "watch"];
    own.into_iter().fold(command, |c, verb| c.mut_subcommand(verb, |v| v.hide(true)))
}

/// The last component of the name we were called by.
fn program_name(first: Option<&OsString>) -> &'static str {
    let name = first.and_then(|p| Path::new(p).file_name()).and_then(OsStr::to_str);
    if name == Some("ostree") { "ostree" } else { "trefoil" }
}

/// What was asked for, and whether it has `--dry-run`.
fn parse(definition: clap::Command, found: &Arguments) -> Result<(Cli, bool)> {
    let words = std::iter::once(OsString::from("trefoil"))
        .chain(found.path.iter().map(OsString::from))
        .chain(found.rest.iter().cloned());
    let parsed = lenient(only(definition, &found.path)).try_get_matches_from(words);
    let cli = |matches| Ok((Cli::from_arg_matches(&matches)?, is_dry_run(&matches)));
    parsed.and_then(cli).map_err(|e| argument_error(&e))
}

fn is_dry_run(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, below)) => is_dry_run(below),
        // Not every verb knows it.
        None => matches!(matches.try_get_one("dry_run"), Ok(Some(true))),
    }
}

/// Puts clap's errors into the words of `ostree`.
fn argument_error(error: &clap::Error) -> CliError {
    let name = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.clone(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with('-') => {
            CliError::failed(format!("Unknown option {name}"))
        }
        ErrorKind::UnknownArgument => CliError::usage("Too many arguments given"),
        ErrorKind::InvalidValue if error.get(ContextKind::InvalidValue).is_some_and(is_empty) => {
            CliError::failed(format!("Missing argument for {name}"))
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            CliError::failed(first.strip_prefix("error: ").unwrap_or(first))
        }
    }
}

fn is_empty(value: &ContextValue) -> bool {
    matches!(value, ContextValue::String(text) if text.is_empty())
}

fn dispatch(cli: Cli, cx: &Context, found: &Arguments, name: &str) -> Result<()> {
    if cli.global.version {
        return cx.ui.text(version::text());
    }
    if cli.global.help {
        return cx.ui.text(help_text(name, &found.path));
    }
    if let Some(word) = &found.unknown {
        let word = word.to_string_lossy();
        return Err(CliError::usage(match found.path.last() {
            None => format!("Unknown command '{word}'"),
            Some(group) => format!("Unknown \"{group}\" subcommand '{word}'"),
        }));
    }
    match cli.verb {
        Some(verb) => verb.run(cx),
        None => Err(CliError::usage("No command specified")),
    }
}

fn report(ui: &Ui, error: &CliError, name: &str, path: &[String]) -> ExitCode {
    let mut text = String::new();
    if let CliError::Usage(_) = error {
        text.push_str(&help_text(name, path));
    }
    text.push_str(&format!("error: {error}"));
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    // Nobody is left to tell when standard error cannot be written.
    let _ = ui.words(text);
    ExitCode::from(error.exit_code())
}

/// Turns into the program `ostree-VERB` where PATH has one, with all arguments, as `ostree`
/// does. Returns only where there is none, or the error of starting it.
fn exec_extension(verb: &OsStr, args: &[OsString]) -> Option<CliError> {
    let mut program = OsString::from("ostree-");
    program.push(verb);
    let path = environment::search_path();
    let found = !verb.as_encoded_bytes().contains(&b'/')
        && std::env::split_paths(&path).any(|dir| is_program(&dir.join(&program)));
    if !found {
        return None;
    }
    let error = std::process::Command::new(&program).args(&args[1..]).exec();
    Some(CliError::failed(format!("Executing {}: {error}", program.to_string_lossy())))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{definition, definition_for, lenient};

    /// Guards the definitions: clap checks them for clashes of names and letters.
    #[test]
    fn definitions_are_consistent() {
        lenient(definition()).debug_assert();
    }

    /// Guards that a verb by itself is defined as it is among all others, and none is left out.
    #[test]
    fn each_verb_is_defined_for_itself() {
        let arguments = |command: &clap::Command| -> Vec<String> {
            command.get_arguments().map(|arg| format!("{arg:?}")).collect()
        };
        fn names(command: &clap::Command) -> Vec<&str> {
            command.get_subcommands().map(clap::Command::get_name).collect()
        }
        let all = definition();
        for verb in all.get_subcommands() {
            let one = definition_for(&["trefoil".into(), verb.get_name().into()]);
            assert_eq!(names(&one), names(&all));
            assert_eq!(arguments(&one), arguments(&all));
            let alone = one.find_subcommand(verb.get_name()).expect("it has its name");
            assert_eq!(arguments(alone), arguments(verb), "{}", verb.get_name());
            assert_eq!(names(alone), names(verb), "{}", verb.get_name());
            assert!(verb.get_all_aliases().next().is_none(), "words are compared with names");
            assert_eq!(alone.is_subcommand_required_set(), verb.is_subcommand_required_set());
        }
    }
}
