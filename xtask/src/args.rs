//! The command line, parsed by hand: two flags do not pay for the compile time of a parser.

use std::fmt;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask test [--full] [--install]

test            formatting, lints, feature and dependency checks, every test and doc test, the docs,
                every example; the real brokers too, where they are installed
    --full      fail if RabbitMQ is not installed, instead of leaving it out
    --install   install what is missing with apt-get (as root, or by sudo without a password)
-h, --help      print this

Environment:
    STOMPEDE_RABBITMQ_SERVER    the rabbitmq-server script to start, instead of the installed one
";

/// One call of xtask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    Help,
    Test(Options),
}

/// The flags of `test`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Options {
    /// The real brokers are demanded.
    pub(crate) full: bool,
    /// What is missing may be installed.
    pub(crate) install: bool,
}

/// Why a command line makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UsageError {
    MissingTask,
    UnknownTask(String),
    UnknownArgument(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTask => write!(f, "no task given"),
            Self::UnknownTask(task) => write!(f, "there is no task {task:?}"),
            Self::UnknownArgument(argument) => write!(f, "`test` knows no argument {argument:?}"),
        }
    }
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    match args.next().as_deref() {
        None => Err(UsageError::MissingTask),
        Some("-h" | "--help" | "help") => Ok(Task::Help),
        Some("test") => parse_test(args),
        Some(other) => Err(UsageError::UnknownTask(other.to_owned())),
    }
}

fn parse_test(args: impl Iterator<Item = String>) -> Result<Task, UsageError> {
    let mut options = Options::default();
    for arg in args {
        match arg.as_str() {
            "--full" => options.full = true,
            "--install" => options.install = true,
            "-h" | "--help" => return Ok(Task::Help),
            _ => return Err(UsageError::UnknownArgument(arg)),
        }
    }
    Ok(Task::Test(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Task, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_taken_in_any_order() {
        let both = Options { full: true, install: true };
        assert_eq!(parse_line("test"), Ok(Task::Test(Options::default())));
        assert_eq!(parse_line("test --full"), Ok(Task::Test(Options { full: true, install: false })));
        assert_eq!(parse_line("test --full --install"), Ok(Task::Test(both)));
        assert_eq!(parse_line("test --install --full"), Ok(Task::Test(both)));
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
        assert_eq!(parse_line("test --ful"), Err(UsageError::UnknownArgument("--ful".to_owned())));
        assert_eq!(parse_line("test codec"), Err(UsageError::UnknownArgument("codec".to_owned())));
    }
}
