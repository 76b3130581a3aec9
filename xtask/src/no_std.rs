//! The codec without the standard library: a program that could not link it compiles, and no crate has it switched on.

use std::collections::{BTreeMap, BTreeSet};

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::metadata::Metadata;

/// The package that must do without.
const CODEC: &str = "stompede-codec";

/// The program. It has a panic handler of its own, so a `std` anywhere below it is a second one: an error.
const CONSUMER: &str = "--manifest-path tests/consumers/no-std/Cargo.toml";

/// Crates and their features, those aside that run at compile time.
const TREE: &str = "tree -e normal,no-proc-macro --prefix none --format {p}|{f}";

/// Checks both.
pub(crate) fn check(cargo: &Cargo, metadata: &Metadata) -> Result<(), Failure> {
    // The tree comes first: it names the crate that is to blame.
    let with_std = cargo.output(&format!("{TREE} -p {CODEC}"))?;
    let without = cargo.output(&format!("{TREE} {CONSUMER}"))?;
    let possible = metadata.features(CODEC)?;
    let needs_std = metadata.features_with(CODEC, "std")?;
    let expected = possible.iter().map(String::as_str).filter(|name| !needs_std.contains(*name)).collect();
    judge(&features(&with_std), &features(&without), &expected).map_err(Failure::Check)?;
    cargo.run(&format!("check {CONSUMER}"), &[])
}

/// Each crate of a tree with the features that are on.
fn features(tree: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut crates = BTreeMap::<_, BTreeSet<_>>::new();
    for line in tree.lines() {
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let name = package.split_whitespace().next().unwrap_or_default();
        crates.entry(name).or_default().extend(features.split(',').filter(|feature| !feature.is_empty()));
    }
    crates
}

fn judge(
    with_std: &BTreeMap<&str, BTreeSet<&str>>,
    without: &BTreeMap<&str, BTreeSet<&str>>,
    expected: &BTreeSet<&str>,
) -> Result<(), String> {
    let has_std = |tree: &BTreeMap<_, BTreeSet<_>>, name| tree.get(name).is_some_and(|on| on.contains("std"));
    // A tree in which we cannot see `std` where it is says nothing about where it is not.
    if !has_std(with_std, CODEC) || !has_std(with_std, "memchr") {
        return Err(format!("{CODEC} with its default features shows no `std`; has cargo tree changed?"));
    }
    match without.get(CODEC) {
        Some(on) if on.is_superset(expected) => {}
        on => return Err(format!("the consumer needs {CODEC} with {expected:?}, but has {on:?}")),
    }
    let guilty: Vec<_> = without.keys().filter(|name| has_std(without, name)).collect();
    if guilty.is_empty() { Ok(()) } else { Err(format!("`std` is on without being asked for in {guilty:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "\
stompede-codec v0.1.0 (/src/stompede/crates/stompede-codec)|default,std
bytes v1.12.2|std
memchr v2.8.3|alloc,std
memchr v2.8.3|alloc,std (*)
";
    const BARE: &str = "\
no-std-consumer v0.0.0 (/src/stompede/tests/consumers/no-std)|
stompede-codec v0.1.0 (/src/stompede/crates/stompede-codec)|encoding,serde
bytes v1.12.2|
memchr v2.8.3|alloc
memchr v2.8.3|alloc (*)
";

    fn verdict(with_std: &str, without: &str) -> Result<(), String> {
        judge(&features(with_std), &features(without), &BTreeSet::from(["encoding", "serde"]))
    }

    #[test]
    fn a_tree_without_std_passes() {
        assert_eq!(verdict(DEFAULT, BARE), Ok(()));
    }

    #[test]
    fn a_crate_with_std_is_named() {
        let broken = BARE.replace("bytes v1.12.2|", "bytes v1.12.2|serde,std");
        assert_eq!(
            verdict(DEFAULT, &broken).unwrap_err(),
            "`std` is on without being asked for in [\"bytes\"]"
        );
        // Only where it is repeated.
        assert!(verdict(DEFAULT, &BARE.replace("alloc (*)", "alloc,std (*)")).is_err());
    }

    #[test]
    fn a_feature_that_the_consumer_leaves_out_is_missed() {
        let broken = verdict(DEFAULT, &BARE.replace("encoding,", "")).unwrap_err();
        assert!(broken.contains("needs stompede-codec with {\"encoding\", \"serde\"}"), "{broken}");
    }

    #[test]
    fn a_tree_that_we_cannot_read_does_not_pass() {
        assert!(verdict(DEFAULT, "").is_err());
        assert!(verdict("", BARE).is_err());
        assert!(verdict(BARE, BARE).is_err());
    }
}
