//! What the demonstration measured, and how it is shown.

use trefoil_sysroot::Phase;
use trefoil_sysroot::deploy::TreeMethod;

use crate::commands::lab::machine::Deployed;
use crate::commands::lab::table::{Table, bytes, median, number, time};

/// One deploy beside that of `ostree`.
#[derive(Debug)]
pub struct Row {
    /// The version, and whatever else tells it apart.
    pub label: String,
    /// Its commit.
    pub commit: Option<Phase>,
    /// Its deploy.
    pub ours: Deployed,
    /// Wall time of `ostree admin deploy` of the same commit.
    pub theirs: Option<f64>,
}

/// All phases of all versions, and the sum of each deploy.
pub fn phases(rows: &[Row]) -> Table {
    let head =
        ["version", "phase", "time", "links", "removals", "written", "syncs", "calls", "ostree"];
    let mut table = Table::new(2, &head);
    for row in rows {
        let mut label = row.label.clone();
        for phase in row.commit.iter().chain(&row.ours.phases) {
            let cells = cells(phase.name, std::slice::from_ref(phase));
            table.row([vec![std::mem::take(&mut label)], cells].concat());
        }
        let method = match row.ours.report.method {
            TreeMethod::Full => "= deploy, full checkout",
            TreeMethod::Recycle => "= deploy, recycled",
        };
        let mut cells = [vec![String::new()], cells(method, &row.ours.phases)].concat();
        cells.extend(row.theirs.map(time));
        table.row(cells);
    }
    table
}

fn cells(name: &str, phases: &[Phase]) -> Vec<String> {
    let count = |kinds: &[&str]| -> u64 {
        let of = |p: &Phase| kinds.iter().filter_map(|k| p.operations.get(k)).sum::<u64>();
        phases.iter().map(of).sum()
    };
    vec![
        name.to_string(),
        time(phases.iter().map(|p| p.seconds).sum()),
        number(count(&["links"])),
        number(count(&["unlinks", "rmdirs"])),
        bytes(phases.iter().map(|p| p.bytes_written).sum()),
        number(count(&["fsyncs", "syncfs"])),
        number(phases.iter().map(|p| p.total).sum()),
    ]
}

/// Median seconds of the deploys that a filter lets pass.
fn median_of(rows: &[Row], value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(value).collect();
    if values.is_empty() { None } else { Some(median(values)) }
}

/// Two lines: how much faster, and at what cost.
pub fn summary(rows: &[Row]) -> Vec<String> {
    let recycled = |row: &Row| row.ours.report.method == TreeMethod::Recycle;
    let Some(ours) = median_of(rows, |r| recycled(r).then(|| r.ours.seconds())) else {
        return vec!["No spare was recycled; the reasons are above.".to_string()];
    };
    let full = median_of(rows, |r| (!recycled(r)).then(|| r.ours.seconds())).unwrap_or(ours);
    let theirs = median_of(rows, |r| r.theirs.filter(|_| recycled(r)));
    let calls = |row: &Row| row.ours.phases.iter().map(|p| p.total).sum::<u64>() as f64;
    let calls = median_of(rows, |r| recycled(r).then(|| calls(r))).unwrap_or(0.0);
    let first = match theirs {
        Some(theirs) => format!(
            "A recycled deploy took {} (median), {:.0} times less than `ostree admin deploy` of \
             the same commits ({}).",
            time(ours),
            theirs / ours,
            time(theirs)
        ),
        None => format!("A recycled deploy took {} (median).", time(ours)),
    };
    let second = format!(
        "A full checkout took {}, {:.0} times as long; a recycled deploy made {} file system \
         calls.",
        time(full),
        full / ours,
        number(calls as u64)
    );
    vec![first, second]
}
