//! The `trefoil` command; run under the name `ostree` it behaves as `ostree` does.

mod app;
mod argv;
mod commands;
mod context;
mod dates;
mod environment;
mod error;
mod generate;
mod help;
mod keyvalue;
mod object_tree;
mod progress;
mod size;
mod ui;
mod user_files;
mod version;
mod watching;

fn main() -> std::process::ExitCode {
    app::run(std::env::args_os().collect())
}
