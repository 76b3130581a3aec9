//! Clients of other languages against our broker: stomp.py and stompjs, kept in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::args::Options;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::install::{self, Plan};
use crate::metadata::Metadata;
use crate::process;
use crate::report::Report;

/// What pip installs: all of it, so that two runs a month apart test the same.
const PYTHON_PACKAGES: &str = "stomp.py==9.0.0 websocket-client==1.9.2 docopt-ng==0.9.0";

/// What npm installs; neither needs anything else.
const NODE_PACKAGES: &str = "@stomp/stompjs@7.5.0 ws@8.23.0";

/// The variables by which the tests find the clients.
const PYTHON_VARIABLE: &str = "STOMPEDE_PYTHON";
const NODE_VARIABLE: &str = "STOMPEDE_NODE_MODULES";

/// The tests, without cargo's word in between.
const TESTS: &str = "test -p stompede-broker --all-features --test foreign";

/// Each client, and the ways in which it must have said that it is content.
const CLIENTS: [(&str, &[&str]); 2] =
    [("stomp.py", &["tcp 1.1", "tcp 1.2", "ws 1.2"]), ("stompjs", &["ws 1.1", "ws 1.2"])];

/// Two scripts of some ten seconds, side by side or one after the other, each with 45 s of patience in the test.
const TEST_LIMIT: Duration = Duration::from_secs(2 * 60);

/// A megabyte in all, over a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Questions that a program answers at once.
const QUERY_LIMIT: Duration = Duration::from_secs(30);

/// Where the clients are, as the tests want to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Clients {
    python: PathBuf,
    node_modules: PathBuf,
}

/// Says at the start what will become of this step, or that it cannot be.
pub(crate) fn announce(cargo: &Cargo, options: Options) -> Result<(), Failure> {
    match plan(&Kept::of(cargo)?, options)? {
        Plan::Missing => return Err(missing()),
        Plan::Use(clients) => println!(
            "   foreign clients: {} and {}",
            clients.python.display(),
            clients.node_modules.display()
        ),
        Plan::Install => println!("   foreign clients are not installed and will be"),
        Plan::LeaveOut => println!("   foreign clients are left out (--full lets them talk to the broker)"),
    }
    Ok(())
}

/// The step: both clients go through all they can do, and the report has their versions.
pub(crate) fn run(cargo: &Cargo, options: Options, report: &mut Report) -> Result<(), Failure> {
    let kept = Kept::of(cargo)?;
    let clients = match plan(&kept, options)? {
        Plan::Use(clients) => clients,
        Plan::Install => kept.install()?,
        Plan::Missing => return Err(missing()),
        Plan::LeaveOut => {
            println!("   left out without --full");
            report.left_out("foreign clients", "without --full");
            return Ok(());
        }
    };
    // Built beforehand: the limit of the clients is not for the compiler.
    cargo.run(&format!("{TESTS} --no-run"), &[])?;
    let env =
        [(PYTHON_VARIABLE, clients.python.as_os_str()), (NODE_VARIABLE, clients.node_modules.as_os_str())];
    let text = cargo.output_within(&format!("{TESTS} -- --ignored --nocapture"), &env, TEST_LIMIT)?;
    println!("{}", text.trim());
    report.ran(format!("foreign clients ({})", versions(&text)?));
    Ok(())
}

fn plan(kept: &Kept, options: Options) -> Result<Plan<Clients>, Failure> {
    if !options.full {
        return Ok(Plan::LeaveOut);
    }
    let found = match named() {
        Some(clients) => Some(clients),
        None => kept.find()?,
    };
    Ok(install::plan_full(found, options))
}

/// The clients that the environment names.
fn named() -> Option<Clients> {
    let path = |variable| std::env::var_os(variable).map(PathBuf::from);
    Some(Clients { python: path(PYTHON_VARIABLE)?, node_modules: path(NODE_VARIABLE)? })
}

fn missing() -> Failure {
    Failure::Check(format!(
        "--full demands stomp.py and stompjs, which are not installed: add --install, which needs python3 with \
         venv, node and npm, or name them in {PYTHON_VARIABLE} and {NODE_VARIABLE}"
    ))
}

/// The versions of the clients, from what they printed. A client that did not say that it is content in each of its
/// ways was not run, whatever the harness says.
fn versions(text: &str) -> Result<String, Failure> {
    let mut versions = Vec::new();
    for (client, ways) in CLIENTS {
        let mut version = None;
        for way in ways {
            version = text.lines().find_map(|line| {
                line.strip_prefix(client)?.strip_prefix(' ')?.strip_suffix(": ok")?.strip_suffix(way)
            });
            if version.is_none() {
                return Err(Failure::Check(format!("{client} did not go through the broker by {way}")));
            }
        }
        versions.push(format!("{client} {}", version.unwrap_or_default().trim()));
    }
    Ok(versions.join(", "))
}

/// What this step keeps between runs in the target directory.
#[derive(Debug)]
struct Kept(PathBuf);

impl Kept {
    fn of(cargo: &Cargo) -> Result<Self, Failure> {
        Ok(Self(Metadata::read(cargo)?.target_directory()?.join("foreign")))
    }

    fn clients(&self) -> Clients {
        Clients { python: self.0.join("venv/bin/python"), node_modules: self.0.join("node/node_modules") }
    }

    /// Written last, with what was installed: no half of an installation and no older one is taken for it.
    fn note(&self) -> PathBuf {
        self.0.join("installed")
    }

    /// The clients, if they are those that we want and their Python and Node are still there.
    fn find(&self) -> Result<Option<Clients>, Failure> {
        let clients = self.clients();
        let same = fs::read_to_string(self.note()).is_ok_and(|note| note == wanted());
        let whole = same
            && clients.node_modules.is_dir()
            && answers(&clients.python, &["-c", "import stomp, websocket"])?
            && answers("node".as_ref(), &["--version"])?;
        Ok(whole.then_some(clients))
    }

    /// Installs the clients anew, and before them what installs them.
    fn install(&self) -> Result<Clients, Failure> {
        let packages = missing_packages()?;
        if !packages.is_empty() {
            install::debian(&packages)?;
        }
        if self.0.exists() {
            fs::remove_dir_all(&self.0).map_err(Failure::io("removing the old foreign clients"))?;
        }
        let node = self.0.join("node");
        fs::create_dir_all(&node).map_err(Failure::io("making a directory for the foreign clients"))?;

        let clients = self.clients();
        let venv = self.0.join("venv");
        installed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
        installed(Command::new(&clients.python).args(pip).args(PYTHON_PACKAGES.split(' ')))?;
        let npm =
            ["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
        installed(Command::new("npm").args(npm).arg("--prefix").arg(&node).args(NODE_PACKAGES.split(' ')))?;

        fs::write(self.note(), wanted()).map_err(Failure::io("noting what was installed"))?;
        self.find()?
            .ok_or_else(|| Failure::Check("stomp.py and stompjs are installed, but do not start".to_owned()))
    }
}

fn wanted() -> String {
    format!("{PYTHON_PACKAGES}\n{NODE_PACKAGES}\n")
}

/// The Debian packages of what is needed to install the clients and is not here.
fn missing_packages() -> Result<Vec<&'static str>, Failure> {
    let needs: [(&str, &[&str], &str); 3] = [
        // Debian's Python has venv, but without this package not the pip that goes into each.
        ("python3", &["-c", "import venv, ensurepip"], "python3-venv"),
        ("node", &["--version"], "nodejs"),
        ("npm", &["--version"], "npm"),
    ];
    let mut packages = Vec::new();
    for (program, args, package) in needs {
        if !answers(program.as_ref(), args)? {
            packages.push(package);
        }
    }
    Ok(packages)
}

/// Whether a program is there and does this without complaint.
fn answers(program: &Path, args: &[&str]) -> Result<bool, Failure> {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    match process::run(&mut command, QUERY_LIMIT) {
        Ok(()) => Ok(true),
        Err(Failure::Io { .. } | Failure::Ended { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

fn installed(command: &mut Command) -> Result<(), Failure> {
    println!("   {}", process::describe(command));
    process::run(command, INSTALL_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
running 2 tests
test stompjs_is_content ...\x20
stompjs 7.5.0 ws 1.0: ok
stompjs 7.5.0 ws 1.1: ok
stompjs 7.5.0 ws 1.2: ok
ok

stomp.py 9.0.0 tcp 1.0: ok
stomp.py 9.0.0 tcp 1.1: ok
stomp.py 9.0.0 tcp 1.2: ok
stomp.py 9.0.0 ws 1.2: ok
test stomp_py_is_content ... ok
";

    #[test]
    fn the_versions_are_those_that_spoke() {
        assert_eq!(versions(TEXT).unwrap(), "stomp.py 9.0.0, stompjs 7.5.0");
    }

    #[test]
    fn a_client_that_did_not_go_every_way_is_a_failure() {
        let without = |line: &str| versions(&TEXT.replace(line, "")).unwrap_err().to_string();
        assert_eq!(without("stomp.py 9.0.0 ws 1.2: ok"), "stomp.py did not go through the broker by ws 1.2");
        assert_eq!(without("stompjs 7.5.0 ws 1.1: ok"), "stompjs did not go through the broker by ws 1.1");
        assert_eq!(
            versions("running 0 tests\n").unwrap_err().to_string(),
            "stomp.py did not go through the broker by tcp 1.1"
        );
    }

    #[test]
    fn what_is_not_there_does_not_answer() {
        assert!(!answers("stompede-no-such-program".as_ref(), &[]).unwrap());
        assert!(!answers("cargo".as_ref(), &["--no-such-flag"]).unwrap());
        assert!(answers("cargo".as_ref(), &["--version"]).unwrap());
    }
}
