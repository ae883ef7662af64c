//! The message of a commit: from options, a file or an editor.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::error::{CliError, Context as _, Result};
use crate::{environment, user_files};

/// Where the message comes from.
#[derive(Args, Debug)]
pub struct MessageArgs {
    /// One line subject
    #[arg(short, long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Full description
    #[arg(short = 'm', long, value_name = "BODY")]
    body: Option<String>,
    /// Commit message from FILE path
    #[arg(short = 'F', long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Use an editor to write the commit message
    #[arg(short, long)]
    editor: bool,
}

impl MessageArgs {
    /// Subject and body; either may be empty.
    pub fn read(&self, branch: Option<&str>) -> Result<(String, String)> {
        if self.editor {
            return self.edit(branch);
        }
        self.given()
    }

    /// Whether an editor has the say.
    pub fn is_edited(&self) -> bool {
        self.editor
    }

    /// What the options say; where an editor has the say, what it begins with.
    pub fn given(&self) -> Result<(String, String)> {
        let body = match &self.body_file {
            Some(path) => user_files::read(path)?,
            None => self.body.clone().unwrap_or_default(),
        };
        Ok((self.subject.clone().unwrap_or_default(), body))
    }

    fn edit(&self, branch: Option<&str>) -> Result<(String, String)> {
        let mut text = "\n# Please enter the commit message for your changes. The first line\n\
            # becomes the subject, the rest the body. Lines that start with '#' are\n\
            # left out, and an empty message aborts the commit.\n"
            .to_string();
        if let Some(branch) = branch {
            text.push_str(&format!("#\n# Branch: {branch}\n"));
        }
        for part in [&self.subject, &self.body].into_iter().flatten() {
            text.push_str(&format!("{part}\n"));
        }
        split(&run_editor(&text)?)
    }
}

/// Takes comments out and divides the rest at the first line.
fn split(text: &str) -> Result<(String, String)> {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.starts_with('#'));
    let Some(subject) = lines.find(|line| !line.is_empty()) else {
        return Err(CliError::failed("Aborting commit due to empty commit subject."));
    };
    let body: Vec<&str> = lines.skip_while(|line| line.is_empty()).collect();
    Ok((subject.to_string(), body.join("\n").trim_end().to_string()))
}

fn run_editor(text: &str) -> Result<String> {
    let editor = editor()?;
    let path = std::env::temp_dir().join(format!("trefoil-commit-{}.txt", std::process::id()));
    user_files::write_new(&path, text)?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{editor} \"$0\"")).arg(&path);
    let status = shell.status().context(format!("running {editor}"));
    let edited = user_files::read(&path);
    user_files::remove(&path)?;
    if !status?.success() {
        return Err(CliError::failed(format!("There was a problem with the editor '{editor}'")));
    }
    edited
}

/// OSTREE_EDITOR, VISUAL, EDITOR, in this order; `vi` on a terminal that can show it.
fn editor() -> Result<String> {
    let set = environment::text;
    let dumb = set("TERM").is_none_or(|term| term == "dumb");
    set("OSTREE_EDITOR")
        .or_else(|| set("VISUAL").filter(|_| !dumb))
        .or_else(|| set("EDITOR"))
        .or_else(|| (!dumb).then(|| "vi".to_string()))
        .ok_or_else(|| CliError::failed("Terminal is dumb, but EDITOR unset"))
}

#[cfg(test)]
mod tests {
    /// Guards how an edited message is divided.
    #[test]
    fn messages_are_divided() {
        let text = "\n# comment\nSubject  \n\nBody\n# more\nEnd\n\n";
        let (subject, body) = super::split(text).expect("it has a subject");
        assert_eq!((subject.as_str(), body.as_str()), ("Subject", "Body\nEnd"));
        super::split("# only\n\n").expect_err("nothing but comments");
    }
}
