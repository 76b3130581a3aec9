//! Programs that use our crates from outside the workspace, with what is public and nothing else.

use std::time::Duration;

use crate::args::Options;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::report::Report;

/// Those that are built and run, in `tests/consumers`. `no-std` is built by the step `features`.
const PROGRAMS: &[&str] = &["app", "codec", "transport"];

/// Each takes a second or two; one that takes longer waits for something.
const LIMIT: Duration = Duration::from_secs(60);

/// Builds each and runs it; it checks itself and says so by its exit code.
pub(crate) fn run(cargo: &Cargo, options: Options, report: &mut Report) -> Result<(), Failure> {
    if !options.full {
        println!("   left out (--full does it)");
        report.left_out("consumers", "--full does it");
        return Ok(());
    }
    for name in PROGRAMS {
        let manifest = format!("--manifest-path tests/consumers/{name}/Cargo.toml");
        cargo.run(&format!("fmt {manifest} --check"), &[])?;
        // Built beforehand: the limit is not for the compiler. As it stands in the lock file: nothing moves by itself.
        cargo.run(&format!("build --locked {manifest}"), &[])?;
        cargo.run_within(&format!("run -q --locked {manifest}"), &[], LIMIT)?;
    }
    report.ran(format!("consumers ({})", PROGRAMS.len()));
    Ok(())
}
