//! Which crates a package may pull in: the layers of the workspace, kept by `cargo tree`.

mod costs;

use std::collections::BTreeSet;

use crate::cargo::Cargo;
use crate::failure::Failure;

/// What holds for one tree of dependencies.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// No more crates than this, the package itself included.
    AtMost(usize),
    /// None of these crates.
    Without(&'static [&'static str]),
}

/// One package, how it is built, and what holds then.
const RULES: &[(&str, Rule)] = &[
    // bytes, memchr, safe_arch, thiserror and what they need; a codec is read before it is trusted.
    ("-p stompede-codec", Rule::AtMost(14)),
    // The protocol is sans-IO.
    ("-p stompede-session --no-default-features", Rule::Without(&["tokio"])),
    // What an application gets for asking for nothing in particular.
    ("-p stompede", Rule::AtMost(90)),
    // Whoever does not want TLS, or proxies, gets none of it.
    ("-p stompede --no-default-features --features json,proxy,ws", Rule::Without(TLS)),
    (
        "-p stompede-transport --no-default-features --features conformance,memory,proxy,server,ws",
        Rule::Without(TLS),
    ),
    ("-p stompede-broker --features scripted", Rule::Without(TLS)),
    // The operating system decides whom to trust, unless told otherwise.
    ("-p stompede", Rule::Without(&["webpki-roots"])),
    // Without a WebSocket there is neither tungstenite nor what it brings.
    (
        "-p stompede --no-default-features --features proxy,tcp,tls,webpki-roots",
        Rule::Without(&["tungstenite", "sha1"]),
    ),
    // One set of cryptography, and no C compiler beyond what ring needs.
    ("-p stompede --all-features", Rule::Without(&["aws-lc-rs", "aws-lc-sys", "openssl", "native-tls"])),
    // The broker is an independent reading of the specification.
    ("-p stompede-broker --all-features", Rule::Without(&["stompede-session", "stompede"])),
    // The contract alone has no runtime, no WebSocket, no TLS.
    (
        "-p stompede-transport --no-default-features",
        Rule::Without(&["tokio", "tokio-tungstenite", "tungstenite", "rustls", "tokio-rustls"]),
    ),
];

/// What the feature `tls` brings.
const TLS: &[&str] = &["rustls", "tokio-rustls", "rustls-platform-verifier", "ring", "webpki-roots"];

/// Checks every rule.
pub(crate) fn check(cargo: &Cargo) -> Result<(), Failure> {
    for (selection, rule) in RULES {
        let tree = cargo.output(&format!("tree {selection} -e normal --prefix none"))?;
        let crates = crates(&tree);
        println!("   {selection}: {} crates", crates.len());
        apply(*rule, &crates)
            .map_err(|broken| Failure::Check(format!("cargo tree {selection}: {broken}")))?;
    }
    costs::check(cargo)
}

/// The distinct crates of a tree printed without prefixes, as name and version.
fn crates(tree: &str) -> BTreeSet<(&str, &str)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect()
}

fn apply(rule: Rule, crates: &BTreeSet<(&str, &str)>) -> Result<(), String> {
    // A tree without even the package itself is no tree: cargo printed something that we cannot read.
    if crates.is_empty() {
        return Err("no crates found in what cargo printed".to_owned());
    }
    match rule {
        Rule::AtMost(limit) if crates.len() > limit => {
            let names: Vec<_> = crates.iter().map(|(name, version)| format!("{name} {version}")).collect();
            Err(format!("{} crates, at most {limit} are allowed: {}", crates.len(), names.join(", ")))
        }
        Rule::Without(banned) => {
            let names: Vec<_> =
                crates.iter().map(|(name, _)| *name).filter(|name| banned.contains(name)).collect();
            if names.is_empty() { Ok(()) } else { Err(format!("must not depend on {}", names.join(", "))) }
        }
        Rule::AtMost(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
stompede-codec v0.1.0 (/src/stompede/crates/stompede-codec)
bytes v1.12.2
bytestring v1.5.1
bytes v1.12.2
thiserror v2.0.21
thiserror-impl v2.0.21 (proc-macro)
proc-macro2 v1.0.107
syn v3.0.10
proc-macro2 v1.0.107 (*)
syn v2.0.1

";

    #[test]
    fn a_crate_counts_once_and_each_version_of_it_counts() {
        let crates = crates(TREE);
        assert_eq!(crates.len(), 8);
        assert!(crates.contains(&("syn", "v2.0.1")) && crates.contains(&("syn", "v3.0.10")));
    }

    #[test]
    fn a_tree_may_fill_its_limit_but_not_pass_it() {
        let crates = crates(TREE);
        assert_eq!(apply(Rule::AtMost(8), &crates), Ok(()));
        let broken = apply(Rule::AtMost(7), &crates).unwrap_err();
        assert!(broken.starts_with("8 crates, at most 7 are allowed: bytes v1.12.2, "), "{broken}");
    }

    #[test]
    fn a_banned_crate_is_named_and_a_longer_name_is_not_it() {
        let crates = crates(TREE);
        assert_eq!(apply(Rule::Without(&["byte", "bytestrings", "tokio"]), &crates), Ok(()));
        let broken = apply(Rule::Without(&["tokio", "syn", "bytes"]), &crates).unwrap_err();
        assert_eq!(broken, "must not depend on bytes, syn, syn");
    }

    #[test]
    fn no_tree_at_all_breaks_the_rule() {
        assert!(apply(Rule::AtMost(8), &crates("\n")).is_err());
        assert!(apply(Rule::Without(&["tokio"]), &crates("")).is_err());
    }
}
