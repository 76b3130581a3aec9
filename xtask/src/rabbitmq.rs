//! A RabbitMQ of our own: started as a plain process on free loopback ports, always stopped again.

mod config;
mod control;
mod probe;
mod tls;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::Failure;
use crate::process::{self, Group};
pub(crate) use config::Setting;
use config::{Ports, Scratch};
pub(crate) use control::controlled;
pub(crate) use tls::TlsFiles;

/// Names the server script to use instead of an installed one.
const SERVER_VARIABLE: &str = "STOMPEDE_RABBITMQ_SERVER";

/// Where Debian and Ubuntu keep the server script. The one in /usr/sbin wants to become another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Where each version keeps its own scripts, for packages without the path above.
const VERSIONS: &str = "/usr/lib/rabbitmq/lib";

/// A start takes 4 to 9 s on two cores.
const START_LIMIT: Duration = Duration::from_secs(60);

/// epmd listens within milliseconds.
const EPMD_LIMIT: Duration = Duration::from_secs(10);

/// An orderly stop takes 1 to 3 s on two cores; a killed broker costs nothing but its log's last lines.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// How much of each log is shown after a failed start: enough for Erlang's crash reports.
const TAIL_LINES: usize = 40;

/// A running broker. Dropping it stops it and removes its files.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    // The order matters: fields are dropped from the first to the last.
    server: Group,
    epmd: Group,
    scratch: Scratch,
    ports: Ports,
    script: PathBuf,
    version: String,
}

impl RabbitMq {
    /// Starts a broker and waits until it lets us in. Ports taken in the meantime are replaced once.
    pub(crate) fn start(server: &Path, setting: Setting, tls: &TlsFiles) -> Result<Self, Failure> {
        let mut found_taken = false;
        loop {
            match Self::start_once(server, setting, tls)? {
                Ok(broker) => return Ok(broker),
                Err(NotUp { port_taken: true, .. }) if !found_taken => {
                    println!("   a port was taken in the meantime; once more with others");
                    found_taken = true;
                }
                Err(NotUp { log, .. }) => {
                    println!("{log}");
                    return Err(Failure::Check(
                        "RabbitMQ did not start; its log's end stands above".to_owned(),
                    ));
                }
            }
        }
    }

    /// Starts one broker for each setting, all at the same time: most of a start is waiting.
    pub(crate) fn start_each(
        server: &Path,
        settings: [Setting; 3],
        tls: &TlsFiles,
    ) -> Result<[Self; 3], Failure> {
        let [one, two, three] = std::thread::scope(|scope| {
            let starts = settings.map(|setting| scope.spawn(move || Self::start(server, setting, tls)));
            starts.map(|start| start.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        Ok([one?, two?, three?])
    }

    /// The address for STOMP over TCP.
    pub(crate) fn tcp_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.ports.stomp)
    }

    /// The address for STOMP over WebSocket.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.ports.web_stomp)
    }

    /// The address for STOMP over TLS.
    pub(crate) fn tls_url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.ports.stomp_tls)
    }

    /// The address for STOMP over WebSocket over TLS.
    pub(crate) fn wss_url(&self) -> String {
        format!("wss://127.0.0.1:{}/ws", self.ports.web_stomp_tls)
    }

    /// The version that the broker names in CONNECTED.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Kills the broker at once, as a power failure would, except that what it wrote stays written. Its files stay.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts a killed broker again, with the same files on the same ports, and waits until it lets us in.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        let up = launch(&self.script, &self.scratch, self.ports)?;
        let (server, _) = up.map_err(|log| {
            println!("{log}");
            Failure::Check("RabbitMQ did not come back; its log's end stands above".to_owned())
        })?;
        self.server = server;
        Ok(())
    }

    /// Keeps the broker from running, with all its sockets open.
    pub(crate) fn freeze(&self) {
        self.server.freeze();
    }

    /// Lets a frozen broker run again.
    pub(crate) fn thaw(&self) {
        self.server.thaw();
    }

    /// Stops the broker and removes its files, as a drop does.
    pub(crate) fn stop(self) {
        let Self { server, epmd, scratch, .. } = self;
        drop(server);
        drop(epmd);
        drop(scratch);
    }

    /// One attempt; the inner error is a broker that did not come up and has been stopped.
    fn start_once(server: &Path, setting: Setting, tls: &TlsFiles) -> Result<Result<Self, NotUp>, Failure> {
        let scratch = Scratch::create().map_err(Failure::io("making a directory for RabbitMQ"))?;
        let ports = Ports::free().map_err(Failure::io("finding free ports"))?;
        config::write(scratch.path(), ports, setting, tls)
            .map_err(Failure::io("writing RabbitMQ's configuration"))?;

        let mut epmd = Group::spawn(logged(Path::new("epmd"), &scratch, ports, "epmd.log")?.args([
            "-address",
            "127.0.0.1",
            "-port",
            &ports.epmd.to_string(),
        ]))?;
        let up = process::poll_until(EPMD_LIMIT, || {
            let ended = epmd.exited()?.is_some();
            Ok(if ended { Some(false) } else { probe::epmd(ports.epmd).is_ok().then_some(true) })
        })?;
        if up != Some(true) {
            drop(epmd);
            // It says nothing when its port is taken; whatever else it was, a second try does no harm.
            return Ok(Err(NotUp { port_taken: true, log: log_tails(scratch.path()) }));
        }

        Ok(match launch(server, &scratch, ports)? {
            Ok((running, version)) => {
                let script = server.to_path_buf();
                Ok(Self { server: running, epmd, scratch, ports, script, version })
            }
            Err(log) => Err(NotUp { port_taken: tells_of_a_taken_port(&log), log }),
        })
    }
}

/// Starts the server in a directory that is ready, and waits until it lets us in; gives it with its version. The inner
/// error is the end of the logs of one that did not come up, and has been stopped.
fn launch(
    script: &Path,
    scratch: &Scratch,
    ports: Ports,
) -> Result<Result<(Group, String), String>, Failure> {
    let mut command = logged(script, scratch, ports, "stdout.log")?;
    let mut server = Group::spawn(&mut command)?.stopping_in_order(STOP_GRACE);
    let version = process::poll_until(START_LIMIT, || {
        if server.exited()?.is_some() {
            return Ok(Some(None));
        }
        let others = [ports.web_stomp, ports.stomp_tls, ports.web_stomp_tls];
        let others = others.into_iter().try_for_each(|port| probe::tcp(port).map(drop));
        Ok(others.and_then(|()| probe::stomp(ports.stomp)).ok().map(Some))
    })?;
    if let Some(version) = version.flatten() {
        return Ok(Ok((server, version)));
    }
    // Stopped first: it writes the end of its log while it stops.
    drop(server);
    Ok(Err(log_tails(scratch.path())))
}

/// A broker that did not come up.
#[derive(Debug)]
struct NotUp {
    /// Whether another try with other ports may help.
    port_taken: bool,
    /// The end of its logs.
    log: String,
}

/// Finds the server script: the one that was named, else an installed one.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(SERVER_VARIABLE) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut scripts: Vec<_> = versions.map(|version| version.path().join("sbin/rabbitmq-server")).collect();
    scripts.sort();
    scripts.push(PathBuf::from(SERVER));
    scripts.into_iter().rev().find(|path| path.is_file())
}

/// A program in the broker's environment that writes what it prints to a file.
fn logged(program: &Path, scratch: &Scratch, ports: Ports, log: &str) -> Result<Command, Failure> {
    let open = || {
        let file = File::create(scratch.path().join("log").join(log))?;
        Ok((file.try_clone()?, file))
    };
    let (out, err) = open().map_err(Failure::io(format!("making {log}")))?;
    let mut command = Command::new(program);
    config::environment(&mut command, scratch.path(), ports);
    command.stdout(out).stderr(err);
    Ok(command)
}

/// Whether the log of a failed start says that somebody else has one of the ports.
fn tells_of_a_taken_port(log: &str) -> bool {
    ["eaddrinuse", "dist_port_already_used"].iter().any(|sign| log.contains(sign))
}

/// The last lines of every log of a broker.
fn log_tails(scratch: &Path) -> String {
    let files = fs::read_dir(scratch.join("log")).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let tails = paths.iter().filter_map(|path| {
        let text = fs::read(path).ok()?;
        let name = path.file_name()?.to_string_lossy();
        Some(format!("-- {name}\n{}", process::tail(&String::from_utf8_lossy(&text), TAIL_LINES)))
    });
    tails.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_other_troubles() {
        // What RabbitMQ 3.10.8 writes when the port for STOMP over WebSocket or for Erlang's distribution is taken.
        let web = "{rabbitmq_web_stomp,{bad_return,{{rabbit_web_stomp_app,start,[normal,[]]},eaddrinuse}}}";
        assert!(tells_of_a_taken_port(web));
        assert!(tells_of_a_taken_port(r#"reason: {dist_port_already_used,43287,not_erlang,"localhost"}"#));
        assert!(!tells_of_a_taken_port("Error when reading the cookie: eacces"));
    }
}
