//! The table of `--timings`.

use trefoil_sysroot::Phase;

const HEAD: [&str; 7] = ["phase", "time", "links", "removals", "bytes", "syncs", "system calls"];

/// One line for each phase, and one for all.
pub fn table(phases: &[Phase]) -> String {
    let mut rows = vec![HEAD.map(str::to_string)];
    rows.extend(phases.iter().map(|phase| row(phase.name, std::slice::from_ref(phase))));
    rows.push(row("all", phases));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String; 7], widths: &[usize; 7]) -> String {
    let name = format!("{:<width$}", row[0], width = widths[0]);
    let numbers = row.iter().zip(widths).skip(1);
    let numbers: String = numbers.map(|(cell, width)| format!("  {cell:>width$}")).collect();
    format!("{name}{numbers}\n")
}

fn row(name: &str, phases: &[Phase]) -> [String; 7] {
    let count = |kinds: &[&str]| {
        let of = |phase: &Phase| -> u64 {
            kinds.iter().filter_map(|kind| phase.operations.get(kind)).sum()
        };
        phases.iter().map(of).sum::<u64>().to_string()
    };
    let seconds: f64 = phases.iter().map(|phase| phase.seconds).sum();
    [
        name.to_string(),
        format!("{:.1} ms", seconds * 1000.0),
        count(&["links"]),
        count(&["unlinks", "rmdirs"]),
        phases.iter().map(|phase| phase.bytes_written).sum::<u64>().to_string(),
        count(&["fsyncs", "syncfs"]),
        phases.iter().map(|phase| phase.total).sum::<u64>().to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Guards that the columns hold what their heads say and that the last line sums them up.
    #[test]
    fn numbers_stand_below_their_heads() {
        let phase = |name, links| Phase {
            name,
            seconds: 0.5,
            operations: BTreeMap::from([("links", links), ("unlinks", 1), ("rmdirs", 2)]),
            total: links + 3,
            bytes_written: 7,
        };
        let text = table(&[phase("tree", 10), phase("boot", 5)]);
        let expected = "\
phase       time  links  removals  bytes  syncs  system calls
tree    500.0 ms     10         3      7      0            13
boot    500.0 ms      5         3      7      0             8
all    1000.0 ms     15         6     14      0            21
";
        assert_eq!(text, expected);
    }
}
