//! The table of results, and how they stand to what was promised.

use super::cells::{COMMIT, FULL, NONE, Results, STAT};
use super::rows::{OSTREE, OURS, REAL, Row, find, promise, ratio, verdict};
use crate::commands::lab::table::{Table, bytes, number};

/// What Trefoil promises: task, tool, and how many times less wall time than `ostree`.
const PROMISES: [(&str, &str, f64); 4] =
    [("10", STAT, 50.0), ("10", NONE, 150.0), (FULL, OURS, 1.0), (COMMIT, OURS, 2.0)];
/// System calls for 10 changed files with trust `none`, at most.
const CALLS: u64 = 3_000;

/// Median of what it caused to be written, in bytes.
fn written(cell: &Row) -> Option<u64> {
    let mut written: Vec<u64> = cell.samples.iter().filter_map(|s| s.written).collect();
    written.sort_unstable();
    written.get(written.len() / 2).copied()
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
        let ratio = ratio(&results.cells, &cell.task, cell.tool, OSTREE);
        let task = match cell.task.parse::<u64>() {
            Ok(changed) => format!("{} changed", number(changed)),
            Err(_) => cell.task.clone(),
        };
        let mut cells = cell.cells();
        cells[0] = task;
        cells.push(written(cell).map_or("-".to_string(), bytes));
        cells.extend(cell.last_cells(ratio.filter(|_| cell.tool != OSTREE)));
        table.row(cells);
    }
    format!("{intro}{}\n{}", table.markdown(), promises(results))
}

fn promises(results: &Results) -> String {
    if results.entries < REAL {
        return format!("What is promised holds for trees of {} entries or more.\n", number(REAL));
    }
    let mut text = String::new();
    for (task, tool, least) in PROMISES {
        let ratio = ratio(&results.cells, task, tool, OSTREE);
        text += &promise(&format!("{task}, {tool}"), ratio, least);
    }
    if let Some(calls) = find(&results.cells, "10", NONE).and_then(|cell| cell.system_calls) {
        let kept = verdict(calls <= CALLS);
        text += &format!(
            "- 10, {NONE}: {} system calls, promised {}: {kept}\n",
            number(calls),
            number(CALLS)
        );
    }
    text
}
