//! Fuzzing the codec: a short run of each target as a test, long ones for what they find and how far they came.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use crate::args::FuzzOptions;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::install::{self, Plan};
use crate::metadata::Metadata;
use crate::process;
use crate::report::Report;

/// The package of the targets; it is outside the workspace.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// The name of that package.
const PACKAGE: &str = "stompede-fuzz";

/// How long a target runs as a test: it meets all seeds and some hundred thousand inputs more.
const SMOKE: Duration = Duration::from_secs(10);

/// What a run may take beyond its time: for cargo to find that all is built, and for reading a corpus that has grown.
const SLACK: Duration = Duration::from_secs(2 * 60);

/// The targets use some 30 MB; what needs this much hoards.
const MEMORY_MB: u32 = 512;

/// One input takes microseconds; what takes this long hangs.
const INPUT_LIMIT: Duration = Duration::from_secs(10);

/// How much of what a target printed is shown of a finding: a panic without its backtrace.
const SHOWN_LINES: usize = 20;

/// `cargo xtask fuzz`: every target in turn, and what came of it in a table.
pub(crate) fn run(options: FuzzOptions) -> ExitCode {
    match run_all(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("xtask fuzz: FAILED: {failure}");
            failure.exit_code()
        }
    }
}

fn run_all(options: FuzzOptions) -> Result<(), Failure> {
    process::catch_signals()?;
    let cargo = Cargo::find();
    match (cargo.has("fuzz")?, options.install) {
        (true, _) => {}
        (false, true) => install::cargo_fuzz(&cargo)?,
        (false, false) => return Err(install::missing_cargo_fuzz("fuzz")),
    }
    let targets = targets(&cargo)?;
    build(&cargo)?;
    println!("{}", Figures::TITLES);
    for target in &targets {
        let figures = fuzz(&cargo, target, options.time)?;
        println!("{}", figures.row(target));
    }
    Ok(())
}

/// The step of `cargo xtask test`: each target for some seconds.
pub(crate) fn smoke(cargo: &Cargo, plan: Plan<()>, report: &mut Report) -> Result<(), Failure> {
    match plan {
        Plan::Use(()) => {}
        Plan::Install => install::cargo_fuzz(cargo)?,
        Plan::Missing => return Err(install::missing_cargo_fuzz("test --full")),
        Plan::LeaveOut => {
            println!("   left out without --full");
            report.left_out("fuzz", "without --full");
            return Ok(());
        }
    }
    let targets = targets(cargo)?;
    cargo.run(&format!("clippy --manifest-path {MANIFEST} -- -D warnings"), &[])?;
    build(cargo)?;
    let mut executions = 0;
    for target in &targets {
        let figures = fuzz(cargo, target, SMOKE)?;
        println!("   {target}: {} executions", thousands(figures.executions));
        executions += figures.executions;
    }
    report.ran(format!("fuzz ({} targets, {} executions)", targets.len(), thousands(executions)));
    Ok(())
}

/// The names of the targets.
fn targets(cargo: &Cargo) -> Result<Vec<String>, Failure> {
    let names = Metadata::read_package(cargo, MANIFEST)?.binaries(PACKAGE)?;
    if names.is_empty() { Err(Failure::Check(format!("{MANIFEST} has no targets"))) } else { Ok(names) }
}

fn build(cargo: &Cargo) -> Result<(), Failure> {
    // Without a sanitizer, which would need a nightly Rust and has little to look for in a crate without unsafe code.
    cargo.run("fuzz build -s none", &[])
}

/// Runs one target for so long; a finding is a failure that names its file.
fn fuzz(cargo: &Cargo, target: &str, time: Duration) -> Result<Figures, Failure> {
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(cargo.path(&corpus)).map_err(Failure::io(format!("making {corpus}")))?;
    let line = format!(
        "fuzz run -s none {target} {corpus} fuzz/seeds -- -dict=fuzz/stomp.dict -verbosity=0 \
         -print_final_stats=1 -max_total_time={} -timeout={} -rss_limit_mb={MEMORY_MB}",
        time.as_secs(),
        INPUT_LIMIT.as_secs(),
    );
    let (status, text) = cargo.errors(&line, time + SLACK)?;
    if status.success() {
        return Figures::read(&text)
            .ok_or_else(|| Failure::Check(format!("the target {target} printed no figures")));
    }
    let Some(file) = finding(&text) else {
        println!("{}", process::tail(&text, SHOWN_LINES));
        return Err(Failure::Ended { command: format!("cargo {line}"), status });
    };
    println!("{}", complaint(&text));
    let file = cargo.relative(file);
    Err(Failure::Check(format!(
        "the target {target} has a finding: {file} (again: cargo fuzz run -s none {target} {file})"
    )))
}

/// What a target says of an input that it does not like: its panic, and libFuzzer's own words.
fn complaint(text: &str) -> String {
    let panic = text.lines().skip_while(|line| !line.contains("panicked at"));
    let panic = panic.take_while(|line| !line.starts_with("stack backtrace")).take(SHOWN_LINES);
    let summary = text.lines().filter(|line| line.starts_with("SUMMARY: "));
    panic.chain(summary).collect::<Vec<_>>().join("\n")
}

/// The file that libFuzzer wrote an input to that it does not like.
fn finding(text: &str) -> Option<&str> {
    text.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1.trim()))
}

/// What libFuzzer counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Figures {
    executions: u64,
    per_second: u64,
    new_inputs: u64,
    peak_mb: u64,
}

impl Figures {
    const TITLES: &str = "target           executions   per second   new inputs   peak MB";

    /// Reads the statistics that libFuzzer prints at the end.
    fn read(text: &str) -> Option<Self> {
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name))?;
            line.strip_prefix(':')?.trim().parse().ok()
        };
        Some(Self {
            executions: figure("number_of_executed_units")?,
            per_second: figure("average_exec_per_sec")?,
            new_inputs: figure("new_units_added")?,
            peak_mb: figure("peak_rss_mb")?,
        })
    }

    fn row(&self, target: &str) -> String {
        let [executions, per_second, new_inputs, peak_mb] =
            [self.executions, self.per_second, self.new_inputs, self.peak_mb].map(thousands);
        format!("{target:<12}{executions:>15}{per_second:>13}{new_inputs:>13}{peak_mb:>10}")
    }
}

/// A number with a comma before every third digit.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
INFO: Seed: 1
###### End of recommended dictionary. ######
stat::number_of_executed_units: 1215892
stat::average_exec_per_sec:     19626
stat::new_units_added:          184
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              30
";

    #[test]
    fn the_figures_are_those_of_the_end() {
        let figures = Figures { executions: 1_215_892, per_second: 19_626, new_inputs: 184, peak_mb: 30 };
        assert_eq!(Figures::read(TEXT), Some(figures));
        assert_eq!(Figures::read("stat::number_of_executed_units: 1\n"), None);
    }

    #[test]
    fn a_row_stands_below_its_titles() {
        let row = Figures::read(TEXT).unwrap().row("round_trip");
        assert_eq!(row, "round_trip        1,215,892       19,626          184        30");
        assert_eq!(row.len(), Figures::TITLES.len());
    }

    #[test]
    fn a_finding_is_the_file_that_was_written_and_the_panic_before_it() {
        let text = "INFO: Seed: 1\nthread '<unnamed>' panicked at decode.rs:1:2:\ntoo much\nstack backtrace:\n   0: main\n\
            SUMMARY: libFuzzer: deadly signal\n\
            artifact_prefix='/src/fuzz/artifacts/decode/'; Test unit written to /src/fuzz/artifacts/decode/crash-1\n";
        assert_eq!(finding(text), Some("/src/fuzz/artifacts/decode/crash-1"));
        assert_eq!(
            complaint(text),
            "thread '<unnamed>' panicked at decode.rs:1:2:\ntoo much\nSUMMARY: libFuzzer: deadly signal"
        );
        assert_eq!(finding(TEXT), None);
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
