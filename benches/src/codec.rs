//! The bench of the codec: decoding, encoding and how both scale.

use std::process::ExitCode;

use crate::args::Options;
use crate::corpus::Corpus;
use crate::{decoding, encoding, harness, scaling};

/// Runs what the arguments ask for.
pub fn codec(args: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::read(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let run = Run::of(&options);
    if options.is_test() {
        run.check();
        return ExitCode::SUCCESS;
    }
    if run.unknown {
        let corpora = Corpus::ALL.map(Corpus::name).join(", ");
        eprintln!("{:?}: the parts are {}, the corpora {corpora}", options.only, PARTS.join(", "));
        return ExitCode::FAILURE;
    }
    println!("{} interleaved rounds, medians, {}", options.rounds, harness::pin());
    run.measure(options.rounds);
    ExitCode::SUCCESS
}

/// What is run.
struct Run {
    decode: Vec<Corpus>,
    encode: Vec<Corpus>,
    scaling: bool,
    /// A name was given that means nothing.
    unknown: bool,
}

impl Run {
    /// All parts unless some are named, each with all corpora unless some are named.
    fn of(options: &Options) -> Self {
        let named = |name: &str| options.only.iter().any(|only| only == name);
        let any_part = PARTS.into_iter().any(named);
        let any_corpus = Corpus::ALL.into_iter().any(|corpus| named(corpus.name()));
        let corpora = |part: &str| {
            let wanted = named(part) || (!any_part && (any_corpus || options.only.is_empty()));
            let corpora = Corpus::ALL.into_iter().filter(|corpus| !any_corpus || named(corpus.name()));
            corpora.filter(|_| wanted).collect()
        };
        let known =
            |name: &str| PARTS.contains(&name) || Corpus::ALL.iter().any(|corpus| corpus.name() == name);
        Self {
            decode: corpora(decoding::NAME),
            encode: corpora(encoding::NAME),
            scaling: options.only.is_empty() || named(scaling::NAME),
            unknown: !options.only.iter().all(|only| known(only)),
        }
    }

    fn measure(&self, rounds: usize) {
        if !self.decode.is_empty() {
            decoding::measure(&self.decode, rounds);
        }
        if !self.encode.is_empty() {
            encoding::measure(&self.encode, rounds);
        }
        if self.scaling {
            scaling::measure(rounds);
        }
    }

    /// Runs everything once on little input and compares what was found and written.
    fn check(&self) {
        self.decode.iter().for_each(|&corpus| decoding::check(corpus));
        self.encode.iter().for_each(|&corpus| encoding::check(corpus));
        if self.scaling {
            scaling::check();
        }
        println!("all contenders agree");
    }
}

const PARTS: [&str; 3] = [decoding::NAME, encoding::NAME, scaling::NAME];

#[cfg(test)]
mod tests {
    use super::*;

    fn run(only: &[&str]) -> Run {
        let only = only.iter().copied().map(String::from).collect();
        Run::of(&Options { rounds: 0, only, flavors: Vec::new(), client: String::new() })
    }

    #[test]
    fn all_contenders_find_and_write_the_same() {
        run(&[]).check();
    }

    #[test]
    fn names_choose_parts_and_corpora() {
        let all = run(&[]);
        assert!(all.decode.len() == 6 && all.encode.len() == 6 && all.scaling);
        let corpus = run(&["small"]);
        assert_eq!(
            (corpus.decode, corpus.encode, corpus.scaling),
            (vec![Corpus::Small], vec![Corpus::Small], false)
        );
        let part = run(&["encode", "tiny"]);
        assert_eq!((part.decode, part.encode, part.scaling), (vec![], vec![Corpus::Tiny], false));
        let unknown = run(&["nothing"]);
        assert!(unknown.unknown && unknown.decode.is_empty() && !unknown.scaling);
    }
}
