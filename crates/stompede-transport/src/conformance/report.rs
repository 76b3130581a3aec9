use std::fmt;

/// What a run of the suite found; printed, it is one line for each check, and more where one failed.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) checks: Vec<Check>,
}

/// One check and how it went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// What is checked, as a name.
    pub name: &'static str,
    /// The sentence of the contract that is checked, as it stands in the documentation.
    pub sentence: &'static str,
    /// How it went.
    pub verdict: Verdict,
}

/// How a check went.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The sentence holds, as far as the check can see.
    Passed,
    /// It does not; what was seen instead.
    Failed(String),
    /// Not checked, and why.
    Skipped(String),
}

impl Report {
    /// All checks, in the order in which they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed(_)))
    }

    /// The checks that were not made.
    pub fn skipped(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.verdict, Verdict::Skipped(_)))
    }

    /// Whether no check failed. Some may have been skipped.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let (all, failed, skipped) = (self.checks.len(), self.failures().count(), self.skipped().count());
        write!(f, "{all} checks: {} passed, {failed} failed, {skipped} skipped", all - failed - skipped)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.verdict {
            Verdict::Passed => write!(f, "passed   {name}"),
            Verdict::Skipped(why) => write!(f, "skipped  {name}: {why}"),
            Verdict::Failed(what) => {
                write!(f, "FAILED   {name}\n         seen: {what}\n         contract: {}", self.sentence)
            }
        }
    }
}
