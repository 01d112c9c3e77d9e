//! Aligned text tables, and numbers with units.

use std::fmt;

/// Side to which a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A text table: a header, a line under it, rows; two blanks between columns, no line end after the last.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a left-aligned column for each of `left`, then right-aligned ones.
    pub(crate) fn new(left: &[&str], right: &[&str]) -> Self {
        let with = |names: &[&str], align| {
            let named = names.iter().map(|name| ((*name).to_owned(), align));
            named.collect::<Vec<_>>()
        };
        let mut columns = with(left, Align::Left);
        columns.extend(with(right, Align::Right));
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a left-aligned column at the end, for long texts.
    pub(crate) fn text(mut self, name: &str) -> Self {
        self.columns.push((name.to_owned(), Align::Left));
        self
    }

    /// Adds a row; cells that are missing stay empty, cells too many are dropped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            let title = self.columns[column].0.chars().count();
            cells.max().unwrap_or(0).max(title)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for ((cell, width), (_, align)) in cells.zip(&widths).zip(&self.columns) {
                let blanks = " ".repeat(width - cell.chars().count());
                let (before, after) = match align {
                    Align::Left => ("", blanks.as_str()),
                    Align::Right => (blanks.as_str(), ""),
                };
                for part in [before, cell, after, "  "] {
                    text.push_str(part);
                }
            }
            text.truncate(text.trim_end().len());
            text
        };
        let mut titles = self.columns.iter().map(|(name, _)| name.as_str());
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        f.write_str(&line(&mut titles))?;
        write!(f, "\n{}", line(&mut rules.iter().map(String::as_str)))?;
        for row in &self.rows {
            write!(f, "\n{}", line(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in powers of 1024: `512 B`, `2.00 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1024 {
        return format!("{n} B");
    }
    scaled(n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// A rate in powers of 1000: `4.80 TB/s`.
pub(crate) fn bytes_per_s(rate: f64) -> String {
    scaled(rate, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
}

/// `1 block`, `2,000 blocks`.
pub(crate) fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Operations in powers of 1000: `2.10 GFLOP`.
pub(crate) fn flops(n: u64) -> String {
    if n < 1000 {
        return format!("{n} FLOP");
    }
    let units = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"];
    scaled(n as f64, 1000.0, &units)
}

/// Operations per second: `989 TFLOP/s`.
pub(crate) fn flops_per_s(rate: f64) -> String {
    let units = ["FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s"];
    scaled(rate, 1000.0, &units)
}

/// A time: `12.3 ns`, `4.26 µs`, `1.50 ms`, `2.00 s`.
pub(crate) fn seconds(time: f64) -> String {
    if time >= 1.0 {
        return scaled(time, 1000.0, &["s"]);
    }
    scaled(time * 1e9, 1000.0, &["ns", "µs", "ms"])
}

/// A ratio as a percentage with one decimal; `-` where there is none.
pub(crate) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |r| format!("{:.1} %", 100.0 * r))
}

/// Three dimensions: `16 x 16 x 1`.
pub(crate) fn dims(d: [u32; 3]) -> String {
    format!("{} x {} x {}", d[0], d[1], d[2])
}

/// Three significant digits in the largest unit of which there is at least one; zero as `0`.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    // 999.5 would print as 1000 of the smaller unit; three digits round it up, so take the next
    while value >= 999.5_f64.min(step) && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if value == 0.0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&["kernel"], &["µs", "calls"]).text("note");
        table.row(["gemm".into(), "1.5".into(), "10,000".into(), "ok".into()]);
        table.row(["layer_norm".into(), "12".into()]);
        let expected = "\
kernel       µs   calls  note
----------  ---  ------  ----
gemm        1.5  10,000  ok
layer_norm   12";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn numbers_have_units_and_three_digits() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(bytes(48 * 1024), "48.0 KiB");
        assert_eq!(bytes(228 << 10), "228 KiB");
        assert_eq!(bytes(60 << 20), "60.0 MiB");
        assert_eq!(bytes_per_s(4.8e12), "4.80 TB/s");
        assert_eq!(flops(33_554_432), "33.6 MFLOP");
        assert_eq!(flops(999), "999 FLOP");
        assert_eq!(plural(1, "wave"), "1 wave");
        assert_eq!(plural(1000, "wave"), "1,000 waves");
        assert_eq!(flops_per_s(989.4e12), "989 TFLOP/s");
        assert_eq!(seconds(0.0), "0 ns");
        assert_eq!(seconds(4.263e-6), "4.26 µs");
        assert_eq!(seconds(0.999_9e-6), "1.00 µs");
        assert_eq!(seconds(2.0), "2.00 s");
        assert_eq!(seconds(7200.0), "7200 s");
        assert_eq!(percent(Some(0.125)), "12.5 %");
        assert_eq!(percent(None), "-");
        assert_eq!(dims([16, 2, 1]), "16 x 2 x 1");
    }
}
