//! Running cargo in the workspace.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::failure::Failure;
use crate::process;

/// A cold build of everything takes minutes on a slow machine with two cores; past this it hangs.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Questions that build nothing; they may wait for another cargo's lock and for the registry.
const QUERY_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Cargo, as it was called for us, at the root of the workspace.
#[derive(Debug)]
pub(crate) struct Cargo {
    program: OsString,
    root: PathBuf,
}

impl Cargo {
    /// Finds the workspace from what cargo told us when it started us.
    pub(crate) fn find() -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let package =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let package = PathBuf::from(package);
        let root = package.parent().map_or_else(|| package.clone(), Path::to_path_buf);
        Self { program, root }
    }

    /// Runs cargo with arguments that are written as one line, with the environment added.
    pub(crate) fn run(&self, line: &str, env: &[(&str, &str)]) -> Result<(), Failure> {
        self.run_within(line, env, BUILD_LIMIT)
    }

    /// The same with a limit of the caller's.
    pub(crate) fn run_within(
        &self,
        line: &str,
        env: &[(&str, &str)],
        limit: Duration,
    ) -> Result<(), Failure> {
        println!("   cargo {line}");
        process::run(self.command(line).envs(env.iter().copied()), limit)
    }

    /// What cargo prints for these arguments.
    pub(crate) fn output(&self, line: &str) -> Result<String, Failure> {
        process::output(&mut self.command(line), QUERY_LIMIT)
    }

    /// What a program that cargo runs prints, with the environment added and a limit of the caller's.
    pub(crate) fn output_within(
        &self,
        line: &str,
        env: &[(&str, &OsStr)],
        limit: Duration,
    ) -> Result<String, Failure> {
        println!("   cargo {line}");
        process::output(self.command(line).envs(env.iter().copied()), limit)
    }

    /// How cargo ends for these arguments, and what it writes to its standard error meanwhile.
    pub(crate) fn errors(&self, line: &str, limit: Duration) -> Result<(ExitStatus, String), Failure> {
        process::errors(&mut self.command(line), limit)
    }

    /// A file or directory of the workspace.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The same the other way round; what is not of the workspace stays as it is.
    pub(crate) fn relative<'a>(&self, path: &'a str) -> Cow<'a, str> {
        Path::new(path).strip_prefix(&self.root).unwrap_or(Path::new(path)).to_string_lossy()
    }

    /// Whether cargo knows this subcommand.
    pub(crate) fn has(&self, subcommand: &str) -> Result<bool, Failure> {
        let mut command = self.command(subcommand);
        match process::run(command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()), QUERY_LIMIT)
        {
            Ok(()) => Ok(true),
            Err(Failure::Ended { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).args(line.split_whitespace());
        // They describe this package, and would only confuse builds of others.
        for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            command.env_remove(name);
        }
        command
    }
}
