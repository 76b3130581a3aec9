//! The tables that a run prints.

/// Columns of text, printed as a Markdown table that is also readable as it stands.
pub(crate) struct Table {
    widths: Vec<usize>,
    left: usize,
}

impl Table {
    /// Prints the heading. The first `left` columns hold text, the others numbers.
    pub(crate) fn begin(columns: &[(&str, usize)], left: usize) -> Self {
        let widths: Vec<usize> =
            columns.iter().map(|&(name, width)| width.max(name.chars().count())).collect();
        let table = Self { widths, left };
        table.row(&columns.iter().map(|&(name, _)| name.to_owned()).collect::<Vec<_>>());
        let rules: Vec<String> = table
            .widths
            .iter()
            .enumerate()
            .map(|(at, &width)| {
                let dashes = "-".repeat(width + 1);
                if at < left { format!("{dashes}-") } else { format!("{dashes}:") }
            })
            .collect();
        println!("|{}|", rules.join("|"));
        table
    }

    /// Prints one row.
    pub(crate) fn row(&self, cells: &[String]) {
        let padded: Vec<String> = cells
            .iter()
            .zip(&self.widths)
            .enumerate()
            .map(
                |(at, (cell, &width))| {
                    if at < self.left { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
                },
            )
            .collect();
        println!("|{}|", padded.join("|"));
    }
}

/// Octets a second in units of 10⁹.
pub(crate) fn gigabytes(octets: usize, seconds: f64) -> String {
    format!("{:.2}", octets as f64 / seconds / 1e9)
}

/// A quotient of speeds or times.
pub(crate) fn ratio(value: f64) -> String {
    if value < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// Nanoseconds for each of so many.
pub(crate) fn nanoseconds(seconds: f64, count: u64) -> String {
    let each = seconds * 1e9 / count.max(1) as f64;
    if each < 100.0 { format!("{each:.1}") } else { format!("{each:.0}") }
}
