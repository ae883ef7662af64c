//! The two output streams: data on standard output, words on standard error.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::Result;

/// How much is gathered before it is written; less than this goes out in one write.
const BUFFER: usize = 256 * 1024;

/// Gathers standard output and writes it in one go, so that a reader such as `grep -q` that
/// closes its end early sees a whole answer. A closed pipe is not an error.
#[derive(Debug, Default)]
pub struct Ui {
    out: RefCell<Vec<u8>>,
    /// Whether `-v` was given.
    pub verbose: bool,
}

impl Ui {
    /// Adds bytes to standard output.
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.out.borrow_mut().extend_from_slice(bytes);
        if self.out.borrow().len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds text to standard output.
    pub fn text(&self, text: impl Display) -> Result<()> {
        self.bytes(text.to_string().as_bytes())
    }

    /// Adds a line to standard output.
    pub fn line(&self, text: impl Display) -> Result<()> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Adds `view` to standard output as one JSON document.
    pub fn json(&self, view: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(view)?;
        self.line(text)
    }

    /// Writes `view` to standard output as one line of JSON, at once: somebody reads along.
    pub fn json_line(&self, view: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(view)?;
        self.line(text)?;
        self.flush()
    }

    /// Writes a line for people to standard error, after what standard output holds so far.
    pub fn words(&self, text: impl Display) -> Result<()> {
        self.flush()?;
        tolerate_closed(io::stderr().write_all(format!("{text}\n").as_bytes()))
    }

    /// As [`Ui::words`], only with `-v`.
    pub fn debug(&self, text: impl Display) -> Result<()> {
        if self.verbose { self.words(format_args!("OT: {text}")) } else { Ok(()) }
    }

    /// Writes out what was gathered.
    pub fn flush(&self) -> Result<()> {
        let bytes = self.out.take();
        let mut stdout = io::stdout().lock();
        tolerate_closed(stdout.write_all(&bytes).and_then(|()| stdout.flush()))
    }
}

/// Whether standard error is a terminal that can show progress.
pub fn has_terminal() -> bool {
    io::stderr().is_terminal()
}

fn tolerate_closed(result: io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
