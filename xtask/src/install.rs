//! Getting what the real-broker tests, fuzzing and the foreign clients need.

use std::process::Command;
use std::time::Duration;

use crate::args::Options;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::process;

/// The package to install, by the name that Debian and Ubuntu give it.
pub(crate) const PACKAGE: &str = "rabbitmq-server";

/// Some 60 MB with Erlang, over a slow line, behind another apt's lock.
const APT_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What cargo is told to install cargo-fuzz.
const INSTALL_CARGO_FUZZ: &str = "install cargo-fuzz --locked";

/// What to do about something that a step needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Plan<T> {
    /// It is here.
    Use(T),
    /// It is missing and may be installed.
    Install,
    /// It is missing, and that is fine.
    LeaveOut,
    /// It is missing, and that is not fine.
    Missing,
}

/// Decides what to do about the broker from where it was found and what was asked for.
pub(crate) fn plan<T>(found: Option<T>, options: Options) -> Plan<T> {
    match found {
        Some(server) => Plan::Use(server),
        None if options.install => Plan::Install,
        None if options.full => Plan::Missing,
        None => Plan::LeaveOut,
    }
}

/// The same for what nobody waits for without `--full`, whether it is here or not.
pub(crate) fn plan_full<T>(found: Option<T>, options: Options) -> Plan<T> {
    if options.full { plan(found, options) } else { Plan::LeaveOut }
}

/// What is said where cargo-fuzz is missing.
pub(crate) fn missing_cargo_fuzz(task: &str) -> Failure {
    Failure::Check(format!(
        "`{task}` demands cargo-fuzz, which is not installed: cargo {INSTALL_CARGO_FUZZ}, or add --install"
    ))
}

/// Installs cargo-fuzz where cargo keeps its programs.
pub(crate) fn cargo_fuzz(cargo: &Cargo) -> Result<(), Failure> {
    cargo.run(INSTALL_CARGO_FUZZ, &[])?;
    if cargo.has("fuzz")? {
        return Ok(());
    }
    Err(Failure::Check(
        "cargo-fuzz is installed, but cargo does not find it; is its directory in PATH?".to_owned(),
    ))
}

/// Installs Debian packages with apt-get; a first failure is repaired and tried once more.
pub(crate) fn debian(packages: &[&str]) -> Result<(), Failure> {
    let packages = packages.join(" ");
    match update_and_install(&packages) {
        // A mirror in the middle of its update, or a dpkg that failed half way: `-f install` finishes what it began.
        Err(failure @ (Failure::Ended { .. } | Failure::TimedOut { .. })) => {
            println!("   {failure}; once more");
            apt_get("-f install -y", &packages)?;
            update_and_install(&packages)
        }
        other => other,
    }
}

fn update_and_install(packages: &str) -> Result<(), Failure> {
    apt_get("update", packages)?;
    apt_get(&format!("install -y --no-install-recommends {packages}"), packages)
}

fn apt_get(line: &str, packages: &str) -> Result<(), Failure> {
    println!("   apt-get {line}");
    let mut command = if is_root()? {
        Command::new("apt-get")
    } else {
        // -n: a password prompt that nobody sees must not stop the run.
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(line.split_whitespace());
    process::run(&mut command, APT_LIMIT).map_err(|failure| match failure {
        Failure::Io { what, error } => Failure::Check(format!(
            "{what}: {error}; please install {packages} by hand, then leave out --install"
        )),
        other => other,
    })
}

fn is_root() -> Result<bool, Failure> {
    let id = process::output(Command::new("id").arg("-u"), APT_LIMIT)?;
    Ok(id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn plan_without(full: bool, install: bool) -> Plan<PathBuf> {
        plan(None, Options { full, install })
    }

    #[test]
    fn an_installed_broker_is_used_whatever_the_flags() {
        for (full, install) in [(false, false), (false, true), (true, false), (true, true)] {
            let server = PathBuf::from("/opt/rabbitmq-server");
            assert_eq!(plan(Some(server.clone()), Options { full, install }), Plan::Use(server));
        }
    }

    #[test]
    fn a_missing_broker_is_left_out_unless_it_is_demanded() {
        assert_eq!(plan_without(false, false), Plan::LeaveOut);
        assert_eq!(plan_without(true, false), Plan::Missing);
    }

    #[test]
    fn install_gets_a_missing_broker_with_and_without_full() {
        assert_eq!(plan_without(false, true), Plan::Install);
        assert_eq!(plan_without(true, true), Plan::Install);
    }

    #[test]
    fn fuzzing_and_foreign_clients_need_full() {
        for (found, install) in [(None, false), (None, true), (Some(()), false), (Some(()), true)] {
            assert_eq!(plan_full(found, Options { full: false, install }), Plan::LeaveOut);
        }
        assert_eq!(plan_full(Some(()), Options { full: true, install: true }), Plan::Use(()));
        assert_eq!(plan_full::<()>(None, Options { full: true, install: true }), Plan::Install);
        assert_eq!(plan_full::<()>(None, Options { full: true, install: false }), Plan::Missing);
    }
}
