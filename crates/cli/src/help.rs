//! Help in the layout of `ostree`: scripts cut the list of verbs out of it.

use clap::{Arg, Command};

/// The help of the command at `path` below `root`, which must have been built.
///
/// `name` is what the program was called as.
pub fn text(root: &Command, name: &str, path: &[String]) -> String {
    let command = path.iter().fold(root, |c, verb| c.find_subcommand(verb).unwrap_or(c));
    let mut out = format!("Usage:\n  {}\n\n", usage(command, name, path));
    if let (Some(about), false) = (command.get_about(), path.is_empty()) {
        out.push_str(&format!("{about}\n\n"));
    }
    if command.has_subcommands() {
        out.push_str(&verbs(command, path));
    }
    out.push_str(&options(command));
    out
}

fn usage(command: &Command, name: &str, path: &[String]) -> String {
    let mut words = vec![name.to_string()];
    words.extend(path.iter().cloned());
    words.push("[OPTION\u{2026}]".to_string());
    if command.has_subcommands() {
        words.push("COMMAND".to_string());
    }
    words.extend(command.get_positionals().filter(|a| !a.is_hide_set()).map(positional));
    words.join(" ")
}

fn positional(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
}

fn verbs(command: &Command, path: &[String]) -> String {
    let group = path.iter().map(|verb| format!("\"{verb}\" ")).collect::<String>();
    let mut out = format!("Builtin {group}Commands:\n");
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        let about = sub.get_about().map(|a| a.to_string()).unwrap_or_default();
        out.push_str(&format!("  {:<18}{about}\n", sub.get_name()));
    }
    out.push('\n');
    out
}

fn options(command: &Command) -> String {
    let shown: Vec<(String, String)> = command
        .get_arguments()
        .filter(|a| !a.is_positional() && !a.is_hide_set())
        .map(|a| (flag(a), a.get_help().map(|h| h.to_string()).unwrap_or_default()))
        .collect();
    let width = shown.iter().map(|(flag, _)| flag.len()).max().unwrap_or(0);
    let mut out = "Options:\n".to_string();
    for (flag, help) in shown {
        out.push_str(format!("  {flag:<width$}     {help}").trim_end());
        out.push('\n');
    }
    out.push('\n');
    out
}

fn flag(arg: &Arg) -> String {
    let mut text = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, long) => format!("--{}", long.unwrap_or_default()),
    };
    if arg.get_action().takes_values()
        && let Some([value, ..]) = arg.get_value_names()
    {
        text.push_str(&format!("={value}"));
    }
    text
}
