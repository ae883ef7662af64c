//! Tables on the terminal and in Markdown.

use std::fmt;

/// Rows of text under a head; the first columns are words, the others numbers.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose first `words` columns are aligned to the left.
    pub fn new(words: usize, head: &[&str]) -> Table {
        Table { head: head.iter().map(ToString::to_string).collect(), words, rows: Vec::new() }
    }

    /// Adds a row; missing cells at its end stay empty.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let rows = self.rows.iter().chain([&self.head]);
            rows.map(|row| row[at].chars().count()).max().unwrap_or(0)
        };
        (0..self.head.len()).map(width).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize], between: &str) -> String {
        let cell = |(at, text): (usize, &String)| match at < self.words {
            true => format!("{text:<width$}", width = widths[at]),
            false => format!("{text:>width$}", width = widths[at]),
        };
        cells.iter().enumerate().map(cell).collect::<Vec<_>>().join(between)
    }

    /// The table in Markdown, aligned for reading as it is.
    pub fn markdown(&self) -> String {
        let widths: Vec<usize> = self.widths().into_iter().map(|w| w.max(3)).collect();
        let rule = |at: usize| match at < self.words {
            true => "-".repeat(widths[at]),
            false => format!("{}:", "-".repeat(widths[at] - 1)),
        };
        let rule: Vec<String> = (0..widths.len()).map(rule).collect();
        let rows = [&self.head, &rule].into_iter().chain(&self.rows);
        rows.map(|row| format!("| {} |\n", self.line(row, &widths, " | "))).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        for row in [&self.head, &rule].into_iter().chain(&self.rows) {
            writeln!(f, "{}", self.line(row, &widths, "  ").trim_end())?;
        }
        Ok(())
    }
}

/// A time with three figures or so.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.01 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}

/// Bytes in decimal units.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        b if b >= 1_000_000_000 => format!("{:.1} GB", b as f64 / 1e9),
        b if b >= 10_000_000 => format!("{} MB", b / 1_000_000),
        b if b >= 1_000_000 => format!("{:.1} MB", b as f64 / 1e6),
        b if b >= 1_000 => format!("{} kB", b / 1_000),
        b => format!("{b} B"),
    }
}

/// A number with commas between thousands.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let mut text = digits[..first].to_string();
    for group in digits.as_bytes()[first..].chunks(3) {
        text.push(',');
        text.extend(group.iter().map(|d| char::from(*d)));
    }
    text
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the layout that README and bug reports quote.
    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(1, &["what", "time"]);
        table.row(vec!["a".into(), time(0.0123)]);
        table.row(vec!["longer".into()]);
        assert_eq!(table.to_string(), "what     time\n------  -----\na       12 ms\nlonger\n");
        assert!(table.markdown().starts_with("| what   |  time |\n| ------ | ----: |\n"));
    }

    /// Guards grouping of digits.
    #[test]
    fn numbers_have_commas() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), text);
        }
    }
}
