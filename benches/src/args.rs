//! What the command line asks for.

use std::process::ExitCode;

use crate::flavor::Flavor;

/// How a run is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    /// Interleaved rounds that are timed; 0 runs everything once, on little input, to compare what was found.
    pub(crate) rounds: usize,
    /// Names of what to run; empty for all.
    pub(crate) only: Vec<String>,
    /// Runtimes to run on, where there is a choice.
    pub(crate) flavors: Vec<Flavor>,
    /// What the names of clients contain that are to run, where there is a choice: for a profiler.
    pub(crate) client: String,
}

impl Options {
    /// Reads what cargo and the user pass; or gives what to end with at once, after having said why.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Result<Self, ExitCode> {
        match Self::parse(args) {
            Ok(Some(options)) => Ok(options),
            Ok(None) => Err(ExitCode::SUCCESS),
            Err(error) => {
                eprintln!("{error}");
                Err(ExitCode::FAILURE)
            }
        }
    }

    /// The same for a bench of which only these parts can be named, and these wires where it has a choice of them.
    pub(crate) fn read_for(
        args: impl Iterator<Item = String>,
        parts: &[&str],
        wires: &[&str],
    ) -> Result<Self, ExitCode> {
        let options = Self::read(args)?;
        let known = |name: &&String| parts.contains(&name.as_str()) || wires.contains(&name.as_str());
        match options.only.iter().find(|name| !known(name)) {
            None => Ok(options),
            // `cargo test NAME` names a test of another crate.
            Some(_) if options.is_test() => Err(ExitCode::SUCCESS),
            Some(name) => {
                let over =
                    if wires.is_empty() { String::new() } else { format!(", over {}", wires.join(" or ")) };
                eprintln!("{name:?}: the parts are {}{over}", parts.join(", "));
                Err(ExitCode::FAILURE)
            }
        }
    }

    /// Whether this one of a kind is to be run: it is named, or none of its kind is.
    pub(crate) fn wants(&self, name: &str, kind: &[&str]) -> bool {
        let is_named = |name: &str| self.only.iter().any(|only| only == name);
        is_named(name) || !kind.iter().copied().any(is_named)
    }

    /// Reads what cargo and the user pass; `None` if only a list of tests is wanted, of which there is none.
    ///
    /// Only `cargo bench` passes `--bench`. Without it, or with `--test`, this is a test.
    fn parse(args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = args;
        let (mut bench, mut test) = (false, false);
        let mut options =
            Self { rounds: ROUNDS, only: Vec::new(), flavors: Flavor::ALL.to_vec(), client: String::new() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => bench = true,
                "--test" => test = true,
                "--list" => return Ok(None),
                "--rounds" => options.rounds = rounds(args.next())?,
                "--client" => options.client = args.next().ok_or("--client needs a name or a part of one")?,
                "--flavor" | "--flavour" => options.flavors = vec![flavor(args.next())?],
                // Options of the test harness that this is not, such as `--nocapture`.
                _ if arg.starts_with('-') => {}
                _ => options.only.push(arg),
            }
        }
        if test || !bench {
            options.rounds = 0;
        }
        Ok(Some(options))
    }

    /// Whether everything is run once, to compare what was found.
    pub(crate) fn is_test(&self) -> bool {
        self.rounds == 0
    }
}

fn rounds(given: Option<String>) -> Result<usize, String> {
    let given = given.ok_or("--rounds needs a number")?;
    match given.parse() {
        Ok(rounds) if rounds > 0 => Ok(rounds),
        _ => Err(format!("--rounds needs a number above 0, not {given:?}")),
    }
}

fn flavor(given: Option<String>) -> Result<Flavor, String> {
    let given = given.ok_or("--flavor needs ct or mt")?;
    let found = Flavor::ALL.into_iter().find(|flavor| flavor.name() == given);
    found.ok_or_else(|| format!("--flavor needs ct (current thread) or mt (two workers), not {given:?}"))
}

/// Enough for a median that one disturbed round cannot move.
const ROUNDS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        Options::parse(line.split_whitespace().map(String::from)).unwrap().unwrap()
    }

    #[test]
    fn only_cargo_bench_measures() {
        assert_eq!(parse("--bench").rounds, ROUNDS);
        assert_eq!(
            parse("--bench small --rounds 40"),
            Options {
                rounds: 40,
                only: vec!["small".into()],
                flavors: Flavor::ALL.to_vec(),
                client: String::new(),
            }
        );
        assert_eq!(parse("--bench --client raw").client, "raw");
        assert_eq!(parse("--bench --flavor mt").flavors, [Flavor::TwoWorkers]);
        assert!(parse("--nocapture").is_test());
        assert!(parse("--bench --test").is_test());
        assert!(Options::parse(["--rounds".into(), "none".into()].into_iter()).is_err());
    }
}
