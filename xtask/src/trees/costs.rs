//! What each feature of the facade costs in crates: the table in its documentation, held to `cargo tree`.

use std::collections::BTreeMap;

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::metadata::Metadata;

/// Where the table stands, and the sentence above it.
const PAGE: &str = "crates/stompede/src/lib.rs";

/// What a row says: crates beyond the bare facade, or beyond a build with another feature, or both.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    feature: String,
    alone: Option<usize>,
    beside: Option<(usize, String)>,
}

/// Counts again what the documentation says.
pub(super) fn check(cargo: &Cargo) -> Result<(), Failure> {
    let page = std::fs::read_to_string(cargo.path(PAGE)).map_err(Failure::io("reading the feature table"))?;
    let broken = |text: String| Failure::Check(format!("{PAGE}: {text}"));
    let rows = rows(&page).map_err(broken)?;
    let (bare, default) = totals(&page).map_err(broken)?;
    let mut counted = Counted { cargo, known: BTreeMap::new() };
    counted.expect("no feature", "--no-default-features", bare)?;
    counted.expect("the default features", "", default)?;

    let mut documented: Vec<_> = rows.iter().map(|row| row.feature.clone()).collect();
    documented.sort();
    let features = Metadata::read(cargo)?.features("stompede")?;
    if documented != features {
        return Err(broken(format!("the table has {documented:?}, the crate {features:?}")));
    }
    for Row { feature, alone, beside } in &rows {
        if let Some(more) = alone {
            counted.expect(feature, &with(&[feature]), bare + more)?;
        }
        if let Some((more, other)) = beside {
            let without = counted.crates(&with(&[other]))?;
            counted.expect(feature, &with(&[feature, other]), without + more)?;
        }
    }
    println!("   costs of {} features are as documented", rows.len());
    Ok(())
}

fn with(features: &[&str]) -> String {
    format!("--no-default-features --features {}", features.join(","))
}

/// Trees that have been counted already.
struct Counted<'a> {
    cargo: &'a Cargo,
    known: BTreeMap<String, usize>,
}

impl Counted<'_> {
    fn crates(&mut self, selection: &str) -> Result<usize, Failure> {
        if let Some(count) = self.known.get(selection) {
            return Ok(*count);
        }
        let tree = self.cargo.output(&format!("tree -p stompede {selection} -e normal --prefix none"))?;
        let count = super::crates(&tree).len();
        self.known.insert(selection.to_owned(), count);
        Ok(count)
    }

    fn expect(&mut self, what: &str, selection: &str, documented: usize) -> Result<(), Failure> {
        let count = self.crates(selection)?;
        if count == documented {
            return Ok(());
        }
        let text = format!("{PAGE}: with {what} there are {count} crates, {documented} are documented");
        Err(Failure::Check(text))
    }
}

/// The numbers of "Without any it takes 20 crates, with the default ones 61".
fn totals(page: &str) -> Result<(usize, usize), String> {
    let line = page.lines().find(|line| line.contains("Without any it takes"));
    let line = line.ok_or("nothing is said about no feature at all")?;
    let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    numbers.next().zip(numbers.next()).ok_or_else(|| format!("two numbers are expected in {line:?}"))
}

/// The rows of the table of features: `| `name` | default | crates more | brings |`.
fn rows(page: &str) -> Result<Vec<Row>, String> {
    let table = page.lines().skip_while(|line| !line.contains("| crates more |")).skip(2);
    let rows: Vec<_> =
        table.take_while(|line| line.starts_with("//! |")).map(row).collect::<Result<_, _>>()?;
    if rows.is_empty() { Err("there is no table of features".to_owned()) } else { Ok(rows) }
}

fn row(line: &str) -> Result<Row, String> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let strange = || format!("the row {line:?} is not understood");
    let [_, feature, _, cost, ..] = cells[..] else { return Err(strange()) };
    let (mut alone, mut beside) = (None, None);
    for part in cost.split(", else ") {
        let (number, other) = match part.split_once(" beside ") {
            Some((number, other)) => (number, Some(other)),
            None => (part, None),
        };
        let number = if number == "none" { 0 } else { number.parse().map_err(|_| strange())? };
        match other {
            Some(other) => beside = Some((number, other.trim_matches('`').to_owned())),
            None => alone = Some(number),
        }
    }
    Ok(Row { feature: feature.trim_matches('`').to_owned(), alone, beside })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
//! Without any it takes 20 crates, with the default ones 61; they share some.
//!
//! | feature | default | crates more | brings |
//! |---|---|---|---|
//! | `tcp` | yes | 5 | `tcp://` |
//! | `roots` | no | 1 beside `tls` | a list |
//! | `proxy` | no | none beside `ws`, else 7 | proxies |

mod other;
";

    #[test]
    fn a_row_says_what_a_feature_costs_alone_and_beside_another() {
        let row = |feature: &str, alone, beside: Option<(usize, &str)>| Row {
            feature: feature.to_owned(),
            alone,
            beside: beside.map(|(more, other)| (more, other.to_owned())),
        };
        let expected = [
            row("tcp", Some(5), None),
            row("roots", None, Some((1, "tls"))),
            row("proxy", Some(7), Some((0, "ws"))),
        ];
        assert_eq!(rows(PAGE).unwrap(), expected);
        assert_eq!(totals(PAGE).unwrap(), (20, 61));
    }

    #[test]
    fn a_table_that_is_gone_or_strange_is_an_error() {
        assert!(rows("//! nothing").is_err() && totals("//! nothing").is_err());
        assert!(rows(&PAGE.replace("| 5 |", "| few |")).unwrap_err().contains("few"));
    }
}
