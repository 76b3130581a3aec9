//! `cargo xtask test`: the steps, in order; the first that fails ends the run.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::cargo::Cargo;
use crate::consumers;
use crate::failure::Failure;
use crate::foreign;
use crate::install::{self, Plan};
use crate::metadata::Metadata;
use crate::process;
use crate::rabbitmq::{self, RabbitMq, Setting, TlsFiles};
use crate::report::Report;
use crate::{clock, fuzz, no_std, trees};

/// An example is a demonstration; one that takes longer than this waits for something.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(60);

/// The package whose examples are run.
const EXAMPLES: &str = "stompede-examples";

/// The package that is tested against real brokers.
const REAL_BROKERS: &str = "stompede-real-brokers";

/// A program of somebody else, outside the workspace, with our broker alone among its dev-dependencies.
const BROKER_CONSUMER: &str = "--manifest-path tests/consumers/broker/Cargo.toml";

/// The examples that are also run against a real broker, as `--url` allows; a name that is gone is an error of cargo's.
const WITH_URL: &[&str] =
    &["blocking", "errors", "listener", "quickstart", "request_reply", "streams", "transactions", "workers"];

/// One step: its name, and what it does. It notes itself in the report.
type Step<'a> = (&'static str, &'a dyn Fn(&mut Report) -> Result<(), Failure>);

/// Runs every step, or the one of this name, and prints the last line.
pub(crate) fn run(options: Options, only: Option<&str>) -> ExitCode {
    let started = clock::now();
    let mut report = Report::default();
    let cargo = Cargo::find();
    let steps: &[Step<'_>] = &[
        ("start", &|_| start(&cargo, options, only)),
        ("fmt", &|report| noted(report, "fmt", fmt(&cargo))),
        ("clippy", &|report| noted(report, "clippy", clippy(&cargo))),
        ("features", &|report| noted(report, "features", features(&cargo))),
        ("trees", &|report| noted(report, "trees", trees::check(&cargo))),
        ("tests", &|report| noted(report, "tests", tests(&cargo))),
        ("docs", &|report| noted(report, "docs", docs(&cargo))),
        ("examples", &|report| examples(&cargo, report)),
        ("cargo-deny", &|report| cargo_deny(&cargo, report)),
        ("consumers", &|report| consumers::run(&cargo, options, report)),
        ("fuzz", &|report| fuzz::smoke(&cargo, plan_fuzz(&cargo, options)?, report)),
        ("foreign", &|report| foreign::run(&cargo, options, report)),
        ("rabbitmq", &|report| real_broker(&cargo, options, report)),
    ];
    let (start, rest) = steps.split_at(1);
    let wanted: Vec<_> = rest.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    if wanted.is_empty() {
        let names: Vec<_> = rest.iter().map(|(name, _)| *name).collect();
        let failure = Failure::Check(format!("--only needs one of {}", names.join(", ")));
        return failed("start", &failure, &report, started);
    }
    for (name, step) in start.iter().chain(wanted) {
        if let Err(failure) = timed(name, || step(&mut report)) {
            return failed(name, &failure, &report, started);
        }
    }
    println!("{}", report.ok_line(started.elapsed()));
    ExitCode::SUCCESS
}

fn failed(step: &str, failure: &Failure, report: &Report, started: Instant) -> ExitCode {
    println!("{}", report.failed_line(step, failure, started.elapsed()));
    failure.exit_code()
}

fn timed(name: &str, step: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    println!("== {name}");
    let started = clock::now();
    let result = step();
    let word = if result.is_ok() { "ok" } else { "FAILED" };
    println!("== {name}: {word}, {:.1} s", started.elapsed().as_secs_f64());
    result
}

fn noted(report: &mut Report, name: &str, result: Result<(), Failure>) -> Result<(), Failure> {
    result.map(|()| report.ran(name))
}

/// Finds out at once what would otherwise be found out after ten minutes.
fn start(cargo: &Cargo, options: Options, only: Option<&str>) -> Result<(), Failure> {
    process::catch_signals()?;
    if only.is_some() {
        // The step itself looks for what it needs, and does so first.
        return Ok(());
    }
    match install::plan(rabbitmq::find(), options) {
        Plan::Missing => return Err(missing()),
        Plan::Use(server) => println!("   RabbitMQ: {}", server.display()),
        Plan::Install => println!("   RabbitMQ is not installed and will be"),
        Plan::LeaveOut => println!("   RabbitMQ is not installed and is left out (--install gets it)"),
    }
    match plan_fuzz(cargo, options)? {
        Plan::Missing => return Err(install::missing_cargo_fuzz("test --full")),
        Plan::Use(()) => println!("   cargo-fuzz is installed"),
        Plan::Install => println!("   cargo-fuzz is not installed and will be"),
        Plan::LeaveOut => println!("   fuzzing is left out (--full does it)"),
    }
    foreign::announce(cargo, options)
}

fn plan_fuzz(cargo: &Cargo, options: Options) -> Result<Plan<()>, Failure> {
    Ok(install::plan_full(cargo.has("fuzz")?.then_some(()), options))
}

fn missing() -> Failure {
    Failure::Check(format!(
        "--full demands RabbitMQ, which is not installed: install the package {}, or add --install",
        install::PACKAGE
    ))
}

fn fmt(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run("fmt --all --check", &[])?;
    cargo.run(&format!("fmt --manifest-path {} --check", fuzz::MANIFEST), &[])
}

fn clippy(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run("clippy --workspace --all-targets --all-features -- -D warnings", &[])
}

/// The crates with optional parts: without any, with each alone, with all; and what must do without tokio or `std`.
fn features(cargo: &Cargo) -> Result<(), Failure> {
    let metadata = Metadata::read(cargo)?;
    for package in ["stompede-codec", "stompede-transport", "stompede", "stompede-broker"] {
        let check = format!("check -p {package} --no-default-features");
        cargo.run(&check, &[])?;
        for feature in metadata.features(package)? {
            cargo.run(&format!("{check} --features {feature}"), &[])?;
        }
        cargo.run(&format!("check -p {package} --all-features"), &[])?;
    }
    cargo.run("check -p stompede-session --no-default-features", &[])?;
    no_std::check(cargo, &metadata)
}

fn tests(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run(&format!("test --workspace --exclude {REAL_BROKERS} --all-features"), &[])?;
    cargo.run(&format!("test {BROKER_CONSUMER}"), &[])
}

fn docs(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run("doc --workspace --no-deps --all-features", &[("RUSTDOCFLAGS", "-D warnings")])
}

fn examples(cargo: &Cargo, report: &mut Report) -> Result<(), Failure> {
    let names = Metadata::read(cargo)?.examples(EXAMPLES)?;
    if names.is_empty() {
        println!("   the package {EXAMPLES} has no examples");
        report.left_out("examples", "there are none");
        return Ok(());
    }
    build_examples(cargo)?;
    for name in &names {
        cargo.run_within(&format!("run -q -p {EXAMPLES} --example {name}"), &[], EXAMPLE_LIMIT)?;
    }
    report.ran(format!("examples ({})", names.len()));
    Ok(())
}

/// Before they are run: the limit of an example is not for the compiler.
fn build_examples(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run(&format!("build -p {EXAMPLES} --examples"), &[])
}

fn cargo_deny(cargo: &Cargo, report: &mut Report) -> Result<(), Failure> {
    if !cargo.has("deny")? {
        println!("   not installed, left out");
        report.left_out("cargo-deny", "not installed");
        return Ok(());
    }
    noted(report, "cargo-deny", cargo.run("deny --offline check bans licenses sources", &[]))
}

/// The suite, examples and the outages, against brokers of our own.
fn real_broker(cargo: &Cargo, options: Options, report: &mut Report) -> Result<(), Failure> {
    let server = match install::plan(rabbitmq::find(), options) {
        Plan::Use(server) => server,
        Plan::Install => {
            install::debian(&[install::PACKAGE])?;
            let here = rabbitmq::find();
            here.ok_or_else(|| Failure::Check(format!("{} is installed, but not found", install::PACKAGE)))?
        }
        Plan::Missing => return Err(missing()),
        Plan::LeaveOut => {
            println!("   not installed, left out");
            report.left_out("rabbitmq", "not installed");
            return Ok(());
        }
    };
    let settings = [Setting::Default, Setting::Binary, Setting::HttpAuth];
    let files = TlsFiles::create().map_err(Failure::io("making certificates for RabbitMQ"))?;
    let brokers = RabbitMq::start_each(&server, settings, &files)?;
    suite(cargo, &brokers, &files)?;
    let [mut broker, others @ ..] = brokers;
    examples_with_url(cargo, &broker, options.full)?;
    // They would only take time from the outages, which are those of one broker.
    others.into_iter().for_each(RabbitMq::stop);
    outages(cargo, &mut broker)?;
    report.ran(format!(
        "rabbitmq {} (suite, {} examples ws+tcp, outages ws+tcp)",
        broker.version(),
        WITH_URL.len()
    ));
    println!("   stopping RabbitMQ");
    broker.stop();
    Ok(())
}

fn suite(cargo: &Cargo, brokers: &[RabbitMq; 3], files: &TlsFiles) -> Result<(), Failure> {
    let [broker, binary, http_auth] = brokers;
    let (tcp, ws) = (broker.tcp_url(), broker.ws_url());
    println!("   RabbitMQ {} listens on {tcp} and {ws}; two more with other settings", broker.version());
    let [ca, cert, key] =
        [files.ca(), files.client_cert(), files.client_key()].map(|path| path.display().to_string());
    let env = [
        ("STOMPEDE_RABBITMQ_TCP", tcp.as_str()),
        ("STOMPEDE_RABBITMQ_WS", ws.as_str()),
        ("STOMPEDE_RABBITMQ_WS_BINARY", &binary.ws_url()),
        ("STOMPEDE_RABBITMQ_WS_BASIC", &http_auth.ws_url()),
        ("STOMPEDE_RABBITMQ_TLS", &broker.tls_url()),
        ("STOMPEDE_RABBITMQ_WSS", &broker.wss_url()),
        ("STOMPEDE_RABBITMQ_TLS_MUTUAL", &binary.tls_url()),
        ("STOMPEDE_RABBITMQ_WSS_MUTUAL", &binary.wss_url()),
        ("STOMPEDE_RABBITMQ_CA", &ca),
        ("STOMPEDE_RABBITMQ_CLIENT_CERT", &cert),
        ("STOMPEDE_RABBITMQ_CLIENT_KEY", &key),
    ];
    cargo.run(&format!("test -p {REAL_BROKERS}"), &env)
}

/// The examples that can do without the embedded broker, and in a full run the client outside of the workspace.
fn examples_with_url(cargo: &Cargo, broker: &RabbitMq, full: bool) -> Result<(), Failure> {
    build_examples(cargo)?;
    let (ws, tcp) = (broker.ws_url(), broker.tcp_url());
    for name in WITH_URL {
        for url in [&ws, &tcp] {
            let line = format!(
                "run -q -p {EXAMPLES} --example {name} -- \
                 --url {url} --login guest --passcode guest --host /"
            );
            cargo.run_within(&line, &[], EXAMPLE_LIMIT)?;
        }
    }
    if full {
        consumers::run_client(cargo, &ws)?;
    }
    Ok(())
}

/// A program that has the broker killed, frozen and cut off under load.
fn outages(cargo: &Cargo, broker: &mut RabbitMq) -> Result<(), Failure> {
    let (tcp, ws) = (broker.tcp_url(), broker.ws_url());
    rabbitmq::controlled(broker, |control| {
        let env = [
            ("STOMPEDE_RABBITMQ_TCP", tcp.as_str()),
            ("STOMPEDE_RABBITMQ_WS", ws.as_str()),
            ("STOMPEDE_RABBITMQ_CONTROL", &control.to_string()),
        ];
        cargo.run(&format!("test -p {REAL_BROKERS} --features outages --test outages"), &env)
    })
}
