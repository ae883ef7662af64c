//! The table of results, and how they stand to what was promised.

use super::cells::{COMMIT, Cell, FULL, NONE, OSTREE, OURS, Results, STAT};
use crate::commands::lab::table::{Table, bytes, median, number, time};

/// What Trefoil promises: task, tool, and how many times less wall time than `ostree`.
const PROMISES: [(&str, &str, f64); 4] =
    [("10", STAT, 50.0), ("10", NONE, 150.0), (FULL, OURS, 1.0), (COMMIT, OURS, 2.0)];
/// System calls for 10 changed files with trust `none`, at most.
const CALLS: u64 = 3_000;
/// The promises are about real systems: trees of at least so many entries.
const REAL: u64 = 100_000;

impl Cell {
    fn wall(&self) -> f64 {
        median(self.samples.iter().map(|s| s.wall).collect())
    }

    fn cpu(&self) -> f64 {
        median(self.samples.iter().map(|s| s.cpu).collect())
    }

    fn written(&self) -> Option<u64> {
        let mut written: Vec<u64> = self.samples.iter().filter_map(|s| s.written).collect();
        written.sort_unstable();
        written.get(written.len() / 2).copied()
    }
}

impl Results {
    fn cell(&self, task: &str, tool: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.task == task && cell.tool == tool)
    }

    /// How many times less wall time than `ostree` took for the task.
    fn ratio(&self, task: &str, tool: &str) -> Option<f64> {
        Some(self.cell(task, OSTREE)?.wall() / self.cell(task, tool)?.wall())
    }
}

/// Everything in Markdown.
pub fn markdown(results: &Results) -> String {
    let intro = format!(
        "Tree: {} entries, {}; ostree {}; both committed {}.\nMedians; the tools took turns, \
         each run a process of its own, after `sync`.\n\n",
        number(results.entries),
        bytes(results.bytes),
        results.ostree,
        results.commit
    );
    let head = ["task", "tool", "wall", "CPU", "system calls", "written", "runs", "less wall"];
    let mut table = Table::new(2, &head);
    for cell in &results.cells {
        let optional = |n: Option<String>| n.unwrap_or_else(|| "-".to_string());
        let ratio = results.ratio(&cell.task, cell.tool).filter(|_| cell.tool != OSTREE);
        let task = match cell.task.parse::<u64>() {
            Ok(changed) => format!("{} changed", number(changed)),
            Err(_) => cell.task.clone(),
        };
        table.row(vec![
            task,
            cell.tool.to_string(),
            time(cell.wall()),
            time(cell.cpu()),
            optional(cell.system_calls.map(number)),
            optional(cell.written().map(bytes)),
            cell.samples.len().to_string(),
            optional(ratio.map(|r| format!("{r:.1}x"))),
        ]);
    }
    format!("{intro}{}\n{}", table.markdown(), promises(results))
}

fn promises(results: &Results) -> String {
    let verdict = |kept: bool| if kept { "kept" } else { "MISSED" };
    if results.entries < REAL {
        return format!("What is promised holds for trees of {} entries or more.\n", number(REAL));
    }
    let mut text = String::new();
    for (task, tool, least) in PROMISES {
        if let Some(ratio) = results.ratio(task, tool) {
            let kept = verdict(ratio >= least);
            text += &format!("- {task}, {tool}: {ratio:.1}x, promised {least}x: {kept}\n");
        }
    }
    if let Some(calls) = results.cell("10", NONE).and_then(|cell| cell.system_calls) {
        let kept = verdict(calls <= CALLS);
        text += &format!(
            "- 10, {NONE}: {} system calls, promised {}: {kept}\n",
            number(calls),
            number(CALLS)
        );
    }
    text
}
