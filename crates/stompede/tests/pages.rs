//! What the pages say of the code is so: tests that are named are there, and texts of errors are those of the code.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the page is there")
}

/// The cells of every row of every table, the heads aside.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_row_of_the_migration_page_names_tests_that_are_there() {
    let page = page("docs/from-stomp-py.md");
    let mut named = 0;
    for row in rows(&page).iter().filter(|row| row.first() != Some(&"stomp.py")) {
        let tests: Vec<_> = quoted(row.last().expect("a cell")).filter(|text| text.contains("::")).collect();
        assert!(!tests.is_empty() || row[1].starts_with("not yet"), "no test holds {row:?}");
        for test in tests {
            let (file, name) = test.split_once("::").expect("file::test");
            let source = fs::read_to_string(root().join(format!("crates/stompede/tests/{file}.rs")));
            let source = source.unwrap_or_else(|error| panic!("{test}: {error}"));
            assert!(source.contains(&format!("fn {name}(")), "{test} is not there");
            named += 1;
        }
    }
    assert!(named > 45, "{named} tests are named");
}

#[test]
fn every_outcome_of_the_reliability_page_names_a_test_that_is_there() {
    let page = page("docs/reliability.md");
    let table = page.split("## Events and outcomes").nth(1).and_then(|rest| rest.split("## ").next());
    let mut named = 0;
    for row in rows(table.expect("the table")).iter().filter(|row| row.first() != Some(&"event")) {
        let test = quoted(row.last().expect("a cell")).next().expect("a test");
        let (file, name) = test.split_once("::").expect("file::test");
        let source = fs::read_to_string(root().join(format!("crates/stompede-session/tests/{file}.rs")));
        let source = source.unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(source.contains(&format!("fn {name}(")), "{test} is not there");
        named += 1;
    }
    assert!(named > 15, "{named} tests are named");
}

#[test]
fn the_code_of_every_page_is_compiled() {
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/guide"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            pages.extend(name.ends_with(".md").then(|| format!("{folder}/{name}")));
        }
    }
    assert!(pages.len() > 15, "{pages:?}");
    let compiled = page("crates/stompede/src/lib.rs");
    for name in &pages {
        if page(name).contains("```rust") {
            assert!(
                compiled.contains(&format!("include_str!(\"../../../{name}\")")),
                "{name} is not compiled"
            );
        }
    }
}

#[test]
fn the_grammar_of_the_guide_is_that_of_the_listener() {
    let source = page("crates/stompede/src/listener.rs");
    let lines = source.lines().skip_while(|line| *line != "/// ```text").skip(1);
    let grammar: Vec<_> = lines.take_while(|line| *line != "/// ```").map(|line| &line[4..]).collect();
    assert!(grammar.len() > 4, "{grammar:?}");
    let guide = page("docs/guide/listeners.md");
    assert!(guide.contains(&format!("```text\n{}\n```", grammar.join("\n"))), "the guide has another");
}

#[test]
fn an_example_is_a_page_long_and_listed() {
    let listed = page("examples/Cargo.toml");
    for entry in fs::read_dir(root().join("examples")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let Some(example) = name.strip_suffix(".rs") else { continue };
        assert!(listed.contains(&format!("name = \"{example}\"")), "{name} is not listed");
        let lines = page(&format!("examples/{name}")).lines().count();
        // It drives the protocol by hand, which takes more.
        let longest = if example == "sans_io" { 160 } else { 60 };
        assert!(lines <= longest, "{name} has {lines} lines");
    }
}

#[test]
fn every_error_text_that_is_explained_is_one_of_ours() {
    let mut sources = String::new();
    for name in ["stompede", "stompede-session", "stompede-transport"] {
        gather(&root().join("crates").join(name).join("src"), &mut sources);
    }
    let page = page_of_errors();
    let (mut texts, rows) = (0, rows(&page));
    for row in rows.iter().filter(|row| row[0] != "the text says") {
        // That row is about all settings, and shows how their errors begin.
        for text in quoted(row[0]).filter(|_| !row[0].starts_with("the name of a parameter")) {
            for part in text.split(['…', '"']).map(str::trim).filter(|part| !part.is_empty()) {
                assert!(sources.contains(part), "no error says {part:?}");
                texts += 1;
            }
        }
    }
    assert!(texts > 60, "{texts} texts");
}

/// The variants of an enum, by its source.
fn variants<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let inside = source.lines().skip_while(|line| *line != format!("pub enum {name} {{")).skip(1);
    let lines = inside.take_while(|line| *line != "}").filter_map(|line| line.strip_prefix("    "));
    lines
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([',', ' ', '{']))
        .collect()
}

#[test]
fn every_kind_of_error_is_explained() {
    let page = page_of_errors();
    let explained: Vec<_> =
        rows(&page).into_iter().flat_map(|row| quoted(row[1]).collect::<Vec<_>>()).collect();
    for (path, name, least) in [
        ("crates/stompede-session/src/error.rs", "ErrorKind", 25),
        ("crates/stompede-transport/src/error.rs", "TransportErrorKind", 20),
    ] {
        let source = self::page(path);
        let kinds = variants(&source, name);
        assert!(kinds.len() > least, "{kinds:?}");
        for kind in kinds {
            assert!(explained.contains(&kind), "{name}::{kind} is not explained");
        }
    }
}

fn page_of_errors() -> String {
    page("docs/guide/troubleshooting.md")
}

/// All source below a folder; a line break inside a literal counts as the blank that it stands for.
fn gather(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, into);
        } else {
            into.push_str(
                &fs::read_to_string(&path)
                    .expect("text")
                    .replace("\\\n", " ")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
    }
}
