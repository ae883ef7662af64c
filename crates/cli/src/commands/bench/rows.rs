//! What the benchmarks have in common: tools that do the same in turns, and what came out of it.

use serde::Serialize;

use super::measure::Sample;
use crate::commands::lab::table::{median, number, time};

/// The installed `ostree`, by which all else is measured.
pub const OSTREE: &str = "ostree";
/// This program, as it comes.
pub const OURS: &str = "trefoil";
/// What is promised in times is promised for real systems: trees of at least so many entries.
pub const REAL: u64 = 100_000;

/// All samples of one tool on one task.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub task: String,
    /// By what, or in which way.
    pub tool: &'static str,
    /// The runs that were measured.
    pub samples: Vec<Sample>,
    /// System calls of one more run; `None` where they were not counted.
    pub system_calls: Option<u64>,
}

impl Row {
    /// Nothing measured yet.
    pub fn new(task: impl Into<String>, tool: &'static str) -> Row {
        Row { task: task.into(), tool, samples: Vec::new(), system_calls: None }
    }

    /// Median of the time it took, in seconds.
    pub fn wall(&self) -> f64 {
        median(self.samples.iter().map(|s| s.wall).collect())
    }

    /// Median of the processor time it took, in seconds.
    pub fn cpu(&self) -> f64 {
        median(self.samples.iter().map(|s| s.cpu).collect())
    }

    /// The first cells of its row: task, tool, time, processor time, system calls.
    pub fn cells(&self) -> Vec<String> {
        let calls = self.system_calls.map_or("-".to_string(), number);
        vec![self.task.clone(), self.tool.to_string(), time(self.wall()), time(self.cpu()), calls]
    }

    /// The last ones: runs, and how many times less time it took.
    pub fn last_cells(&self, ratio: Option<f64>) -> [String; 2] {
        let ratio = ratio.map_or("-".to_string(), |r| format!("{r:.1}x"));
        [self.samples.len().to_string(), ratio]
    }
}

/// The row of a tool on a task, where it was measured.
pub fn find<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
    task: &str,
    tool: &str,
) -> Option<&'r Row> {
    let mut rows = rows.into_iter().filter(|row| !row.samples.is_empty());
    rows.find(|row| row.task == task && row.tool == tool)
}

/// How many times less time `tool` took than `beside`.
pub fn ratio<'r>(
    rows: impl IntoIterator<Item = &'r Row> + Clone,
    task: &str,
    tool: &str,
    beside: &str,
) -> Option<f64> {
    Some(find(rows.clone(), task, beside)?.wall() / find(rows, task, tool)?.wall())
}

/// The places of `count` tools in the order of their turns.
pub fn turns(count: usize, round: usize) -> Vec<usize> {
    let mut turns: Vec<usize> = (0..count).collect();
    turns.rotate_left(round % count);
    turns
}

/// Whether a promise was kept.
pub fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

/// The line about a promise in times; nothing where it was not measured.
pub fn promise(what: &str, ratio: Option<f64>, least: f64) -> String {
    let line =
        |ratio| format!("- {what}: {ratio:.1}x, promised {least}x: {}\n", verdict(ratio >= least));
    ratio.map(line).unwrap_or_default()
}
