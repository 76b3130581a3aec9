//! Programs that use our crates from outside the workspace, with what is public and nothing else.

use std::time::Duration;

use crate::args::Options;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::report::Report;

/// Those that are built and run, in `tests/consumers`. `no-std` is built by the step `features`.
const PROGRAMS: &[&str] = &["app", "codec", "transport"];

/// The quickstart's client without its broker: it is weighed, and run where there is a broker.
const CLIENT: &str = "tests/consumers/client/Cargo.toml";

/// What a stripped release build of it may weigh, TLS included, in bytes.
const CLIENT_LIMIT: u64 = 4_000_000;

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
    weigh(cargo, report)
}

/// Builds the client as it would be delivered, and looks at the size of the program.
fn weigh(cargo: &Cargo, report: &mut Report) -> Result<(), Failure> {
    cargo.run(&format!("fmt --manifest-path {CLIENT} --check"), &[])?;
    cargo.run(&format!("build --release --locked --manifest-path {CLIENT}"), &[])?;
    let metadata = Metadata::read_package(cargo, CLIENT)?;
    let name = format!("client-consumer{}", std::env::consts::EXE_SUFFIX);
    let program = metadata.target_directory()?.join("release").join(name);
    let bytes = std::fs::metadata(&program).map_err(Failure::io("looking at the client"))?.len();
    println!("   {bytes} bytes, at most {CLIENT_LIMIT}");
    if bytes > CLIENT_LIMIT {
        let text = format!("a stripped client has {bytes} bytes, at most {CLIENT_LIMIT} are allowed");
        return Err(Failure::Check(text));
    }
    report.ran(format!("client ({bytes} bytes)"));
    Ok(())
}

/// Runs the client that was weighed against a broker with RabbitMQ's usual login.
pub(crate) fn run_client(cargo: &Cargo, url: &str) -> Result<(), Failure> {
    let line = format!("run -q --release --locked --manifest-path {CLIENT} -- {url} guest guest /");
    cargo.run_within(&line, &[], LIMIT)
}
