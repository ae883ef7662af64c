//! The `trefoil` command; run under the name `ostree` it behaves as `ostree` does.

mod app;
mod argv;
mod commands;
mod context;
mod dates;
mod environment;
mod error;
mod fetching;
mod generate;
mod gpg_program;
mod help;
mod keys;
mod keyvalue;
mod object_tree;
mod plans;
mod progress;
mod signing;
mod size;
mod ui;
mod user_files;
mod version;
mod volumes;
mod watching;

fn main() -> std::process::ExitCode {
    app::run(std::env::args_os().collect())
}
