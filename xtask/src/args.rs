//! The command line, parsed by hand: a few flags do not pay for the compile time of a parser.

use std::fmt;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask test [--full] [--install] [--only STEP]
       cargo xtask fuzz [--minutes N] [--install]
       cargo xtask simulate [--seeds N | --seed S]

test            formatting, lints, feature and dependency checks, every test and doc test, the docs,
                every example; the real brokers too, where they are installed
    --full      fuzz each target of the codec for some seconds, let stomp.py and stompjs talk to the broker,
                and fail if RabbitMQ, cargo-fuzz or these clients are not installed, instead of leaving them out
    --install   install what is missing: RabbitMQ, Python and Node with apt-get (as root, or by sudo without
                a password), cargo-fuzz with cargo, stomp.py and stompjs into the target directory
    --only STEP run this step alone, by the name that a run prints behind ==
fuzz            fuzz each target of the codec in turn, and print how far it came; ends at a finding
    --minutes N for so long each, 1 if not given
    --install   install cargo-fuzz if it is missing
simulate        live through sessions with outages, each made from one seed, against a model of a broker;
                prints the seed of a life that went wrong
    --seeds N   that many fresh ones, 100000 if not given
    --seed S    that one again
-h, --help      print this

Environment:
    STOMPEDE_RABBITMQ_SERVER    the rabbitmq-server script to start, instead of the installed one
    STOMPEDE_PYTHON, STOMPEDE_NODE_MODULES
                                a python that has stomp.py 9, and a folder that has @stomp/stompjs 7 and ws 8:
                                both given, they are used as they are
";

/// One call of xtask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    Help,
    Test {
        options: Options,
        /// The one step to run, instead of all.
        only: Option<String>,
    },
    Fuzz(FuzzOptions),
    Simulate(Lives),
}

/// The flags of `test`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Options {
    /// The real brokers, fuzzing and the foreign clients are demanded.
    pub(crate) full: bool,
    /// What is missing may be installed.
    pub(crate) install: bool,
}

/// The flags of `fuzz`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FuzzOptions {
    /// How long each target runs.
    pub(crate) time: Duration,
    /// What is missing may be installed.
    pub(crate) install: bool,
}

/// What `simulate` lives through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lives {
    /// So many, of seeds that were not used before.
    Fresh(u64),
    /// That of this seed.
    One(u64),
}

impl fmt::Display for Lives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh(count) => write!(f, "{count} fresh seeds"),
            Self::One(seed) => write!(f, "the seed {seed}"),
        }
    }
}

/// Why a command line makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UsageError {
    MissingTask,
    UnknownTask(String),
    UnknownArgument { task: &'static str, argument: String },
    NotMinutes(Option<String>),
    NotNumber { flag: &'static str, given: Option<String> },
    MissingStep,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTask => write!(f, "no task given"),
            Self::UnknownTask(task) => write!(f, "there is no task {task:?}"),
            Self::UnknownArgument { task, argument } => write!(f, "`{task}` knows no argument {argument:?}"),
            Self::MissingStep => write!(f, "--only needs the name of a step"),
            Self::NotMinutes(None) => write!(f, "--minutes needs a number"),
            Self::NotMinutes(Some(text)) => {
                write!(f, "--minutes needs a whole number from 1 to {MAX_MINUTES}, not {text:?}")
            }
            Self::NotNumber { flag, given: None } => write!(f, "{flag} needs a number"),
            Self::NotNumber { flag, given: Some(text) } => {
                write!(f, "{flag} needs a whole number, and one that is not too large, not {text:?}")
            }
        }
    }
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    match args.next().as_deref() {
        None => Err(UsageError::MissingTask),
        Some("-h" | "--help" | "help") => Ok(Task::Help),
        Some("test") => parse_test(args),
        Some("fuzz") => parse_fuzz(args),
        Some("simulate") => parse_simulate(args),
        Some(other) => Err(UsageError::UnknownTask(other.to_owned())),
    }
}

fn parse_test(mut args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    let (mut options, mut only) = (Options::default(), None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => options.full = true,
            "--install" => options.install = true,
            "--only" => only = Some(args.next().ok_or(UsageError::MissingStep)?),
            "-h" | "--help" => return Ok(Task::Help),
            _ => return Err(UsageError::UnknownArgument { task: "test", argument: arg }),
        }
    }
    Ok(Task::Test { options, only })
}

fn parse_fuzz(mut args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    let mut options = FuzzOptions { time: MINUTE, install: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--minutes" => options.time = MINUTE * minutes(args.next())?,
            "--install" => options.install = true,
            "-h" | "--help" => return Ok(Task::Help),
            _ => return Err(UsageError::UnknownArgument { task: "fuzz", argument: arg }),
        }
    }
    Ok(Task::Fuzz(options))
}

fn parse_simulate(mut args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    let mut lives = Lives::Fresh(LIVES);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => lives = Lives::Fresh(number("--seeds", args.next(), 1..=MAX_LIVES)?),
            "--seed" => lives = Lives::One(number("--seed", args.next(), 0..=u64::MAX)?),
            "-h" | "--help" => return Ok(Task::Help),
            _ => return Err(UsageError::UnknownArgument { task: "simulate", argument: arg }),
        }
    }
    Ok(Task::Simulate(lives))
}

fn number(
    flag: &'static str,
    given: Option<String>,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, UsageError> {
    let number = given.as_deref().and_then(|text| text.parse().ok());
    number.filter(|number| range.contains(number)).ok_or(UsageError::NotNumber { flag, given })
}

fn minutes(given: Option<String>) -> Result<u32, UsageError> {
    let number = given.as_deref().and_then(|text| text.parse().ok());
    number.filter(|number| (1..=MAX_MINUTES).contains(number)).ok_or(UsageError::NotMinutes(given))
}

const MINUTE: Duration = Duration::from_secs(60);

/// A week: what runs longer was mistyped.
const MAX_MINUTES: u32 = 7 * 24 * 60;

/// A minute or two.
const LIVES: u64 = 100_000;

/// More than a day: what takes longer was mistyped.
const MAX_LIVES: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Task, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_taken_in_any_order() {
        let all = |full, install| Ok(Task::Test { options: Options { full, install }, only: None });
        assert_eq!(parse_line("test"), all(false, false));
        assert_eq!(parse_line("test --full"), all(true, false));
        assert_eq!(parse_line("test --full --install"), all(true, true));
        assert_eq!(parse_line("test --install --full"), all(true, true));
    }

    #[test]
    fn one_step_alone_is_taken_by_its_name() {
        let options = Options { full: true, install: false };
        let docs = Task::Test { options, only: Some("docs".to_owned()) };
        assert_eq!(parse_line("test --only docs --full"), Ok(docs.clone()));
        assert_eq!(parse_line("test --full --only docs"), Ok(docs));
        assert_eq!(parse_line("test --only"), Err(UsageError::MissingStep));
    }

    #[test]
    fn help_is_given_for_xtask_and_for_a_task() {
        assert_eq!(parse_line("--help"), Ok(Task::Help));
        assert_eq!(parse_line("test --full -h"), Ok(Task::Help));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        assert_eq!(parse_line(""), Err(UsageError::MissingTask));
        assert_eq!(parse_line("tset"), Err(UsageError::UnknownTask("tset".to_owned())));
        let unknown =
            |task, argument: &str| Err(UsageError::UnknownArgument { task, argument: argument.to_owned() });
        assert_eq!(parse_line("test --ful"), unknown("test", "--ful"));
        assert_eq!(parse_line("test codec"), unknown("test", "codec"));
        assert_eq!(parse_line("fuzz --full"), unknown("fuzz", "--full"));
    }

    #[test]
    fn simulating_takes_a_seed_or_a_number_of_them() {
        let lives = |lives| Ok(Task::Simulate(lives));
        assert_eq!(parse_line("simulate"), lives(Lives::Fresh(LIVES)));
        assert_eq!(parse_line("simulate --seeds 7"), lives(Lives::Fresh(7)));
        assert_eq!(parse_line("simulate --seed 18446744073709551615"), lives(Lives::One(u64::MAX)));
        for (flag, given) in [("--seeds", "0"), ("--seeds", "100000001"), ("--seed", "-1"), ("--seed", "x")] {
            let refused = Err(UsageError::NotNumber { flag, given: Some(given.to_owned()) });
            assert_eq!(parse_line(&format!("simulate {flag} {given}")), refused);
        }
        assert_eq!(parse_line("simulate --seed"), Err(UsageError::NotNumber { flag: "--seed", given: None }));
    }

    #[test]
    fn fuzzing_takes_minutes_that_make_sense() {
        let fuzz = |minutes, install| Ok(Task::Fuzz(FuzzOptions { time: MINUTE * minutes, install }));
        assert_eq!(parse_line("fuzz"), fuzz(1, false));
        assert_eq!(parse_line("fuzz --install --minutes 30"), fuzz(30, true));
        assert_eq!(parse_line("fuzz --minutes"), Err(UsageError::NotMinutes(None)));
        for text in ["0", "-1", "1.5", "10081", "99999999999999"] {
            let refused = Err(UsageError::NotMinutes(Some(text.to_owned())));
            assert_eq!(parse_line(&format!("fuzz --minutes {text}")), refused);
        }
    }
}
