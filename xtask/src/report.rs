//! The last line: what ran, what was left out, and how it ended.

use std::time::Duration;

use crate::failure::Failure;

/// What has happened so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Report {
    ran: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    /// Notes something that ran well.
    pub(crate) fn ran(&mut self, what: impl Into<String>) {
        self.ran.push(what.into());
    }

    /// Notes something that did not run, with the reason in brackets.
    pub(crate) fn left_out(&mut self, what: &str, why: &str) {
        self.left_out.push(format!("{what} ({why})"));
    }

    /// The line of a run in which every step went well.
    pub(crate) fn ok_line(&self, took: Duration) -> String {
        let (ran, left_out) = (list(&self.ran, ", "), list(&self.left_out, ", "));
        format!("xtask test: ok in {} s; ran {ran}; left out: {left_out}", took.as_secs())
    }

    /// The line of a run that ended in `step`; whatever the failure says, it stays one line.
    pub(crate) fn failed_line(&self, step: &str, failure: &Failure, took: Duration) -> String {
        let text = failure.to_string();
        let text: Vec<_> = text.split_whitespace().collect();
        let ran = list(&self.ran, ", ");
        format!("xtask test: FAILED in {step} after {} s: {}; ran {ran}", took.as_secs(), text.join(" "))
    }
}

fn list(items: &[String], separator: &str) -> String {
    if items.is_empty() { "nothing".to_owned() } else { items.join(separator) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(143_900);

    #[test]
    fn the_last_line_names_what_ran_and_what_was_left_out() {
        let mut report = Report::default();
        report.ran("fmt");
        report.ran("rabbitmq 3.10.8 (suite, quickstart ws+tcp)");
        report.left_out("cargo-deny", "not installed");
        assert_eq!(
            report.ok_line(TOOK),
            "xtask test: ok in 143 s; ran fmt, rabbitmq 3.10.8 (suite, quickstart ws+tcp); \
             left out: cargo-deny (not installed)"
        );
    }

    #[test]
    fn nothing_left_out_is_said_too() {
        let mut report = Report::default();
        report.ran("fmt");
        assert_eq!(report.ok_line(TOOK), "xtask test: ok in 143 s; ran fmt; left out: nothing");
    }

    #[test]
    fn a_failure_names_its_step_in_one_line() {
        let mut report = Report::default();
        report.ran("fmt");
        let failure = Failure::Check("no\n  tokio".to_owned());
        assert_eq!(
            report.failed_line("trees", &failure, TOOK),
            "xtask test: FAILED in trees after 143 s: no tokio; ran fmt"
        );
    }
}
