//! Man pages and shell completions, made from the definitions of the verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::{app, user_files};

/// Arguments of `util`.
#[derive(Args, Debug)]
pub struct UtilArgs {
    #[command(subcommand)]
    verb: Option<UtilVerb>,
}

#[derive(Subcommand, Debug)]
enum UtilVerb {
    /// Write man pages into DIRECTORY
    Man {
        /// Where to, made if it is not there
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// Runs `util`.
pub fn run(args: UtilArgs, cx: &Context) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"util\" subcommand specified")),
        Some(UtilVerb::Man { directory }) => {
            user_files::make_dirs(&directory)?;
            clap_mangen::generate_to(app::command(), &directory)
                .context(format!("writing man pages to {}", directory.display()))
        }
        Some(UtilVerb::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut app::command(), "trefoil", &mut text);
            cx.ui.bytes(&text)
        }
    }
}
