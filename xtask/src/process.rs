//! Child processes that never outlive us: each has a process group of its own, a time limit and a guard.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::failure::Failure;

/// Set by the signal handler, read by every wait; the waiting thread then stops what it owns.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often a wait looks: short beside any command we run, long beside the cost of looking.
const POLL: Duration = Duration::from_millis(20);

/// What a child may take to end once it was asked to; cargo and apt-get need a moment at most.
const GRACE: Duration = Duration::from_secs(5);

/// Turns Ctrl-C, SIGTERM and SIGHUP into [`Failure::Interrupted`] of the wait in progress.
pub(crate) fn catch_signals() -> Result<(), Failure> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst))
        .map_err(|error| Failure::Check(format!("cannot catch signals: {error}")))
}

/// Fails if a signal has asked us to end.
pub(crate) fn check_interrupted() -> Result<(), Failure> {
    if INTERRUPTED.load(Ordering::SeqCst) { Err(Failure::Interrupted) } else { Ok(()) }
}

/// Polls `done` until it gives a value; `None` when `limit` has passed.
pub(crate) fn poll_until<T>(
    limit: Duration,
    mut done: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let started = clock::now();
    loop {
        if let Some(value) = done()? {
            return Ok(Some(value));
        }
        check_interrupted()?;
        if started.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Runs a command to its end; what it prints is printed through.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    let name = describe(command);
    let status = Group::spawn(command)?.wait(limit)?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: name, status }) }
}

/// Runs a command to its end and gives what it wrote to its standard output.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let name = describe(command);
    let mut group = Group::spawn(command.stdout(Stdio::piped()))?;
    let reader = Reader::of(group.child.stdout.take(), &name)?;
    let status = group.wait(limit)?;
    if !status.success() {
        return Err(Failure::Ended { command: name, status });
    }
    reader.text()
}

/// Runs a command to its end, good or bad, and gives what it wrote to its standard error.
pub(crate) fn errors(command: &mut Command, limit: Duration) -> Result<(ExitStatus, String), Failure> {
    let name = describe(command);
    let mut group = Group::spawn(command.stderr(Stdio::piped()))?;
    let reader = Reader::of(group.child.stderr.take(), &name)?;
    let status = group.wait(limit)?;
    Ok((status, reader.text()?))
}

/// A thread that reads along, so that a full pipe never blocks the command.
struct Reader {
    thread: thread::JoinHandle<io::Result<Vec<u8>>>,
    name: String,
}

impl Reader {
    fn of(pipe: Option<impl Read + Send + 'static>, name: &str) -> Result<Self, Failure> {
        let Some(mut pipe) = pipe else {
            return Err(Failure::Check(format!("`{name}` has no output to read")));
        };
        let thread = thread::spawn(move || {
            let mut octets = Vec::new();
            pipe.read_to_end(&mut octets).map(|_| octets)
        });
        Ok(Self { thread, name: name.to_owned() })
    }

    /// Everything up to the end, which comes when the command has ended.
    fn text(self) -> Result<String, Failure> {
        let Self { thread, name } = self;
        match thread.join() {
            Ok(Ok(octets)) => Ok(String::from_utf8_lossy(&octets).into_owned()),
            Ok(Err(error)) => Err(Failure::io(format!("reading what `{name}` prints"))(error)),
            Err(_) => Err(Failure::Check(format!("the reader of `{name}` panicked"))),
        }
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Who is asked to end first; whoever remains in the group is killed afterwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ask {
    /// Everybody: cargo does not pass signals on.
    Group,
    /// Only the first process: the Erlang VM ends its own helper processes, when it needs them no more.
    Leader,
}

/// A child in a process group of its own. Dropping it stops the whole group.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    name: String,
    ask: Ask,
    grace: Duration,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts a command with nothing to read from; a terminal's Ctrl-C reaches us alone.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Failure> {
        check_interrupted()?;
        let name = describe(command);
        own_group(command);
        let child =
            command.stdin(Stdio::null()).spawn().map_err(Failure::io(format!("starting `{name}`")))?;
        Ok(Self { child, name, ask: Ask::Group, grace: GRACE, ended: None })
    }

    /// Asks only the first process to end and gives it `grace` for an orderly stop.
    pub(crate) fn stopping_in_order(mut self, grace: Duration) -> Self {
        self.ask = Ask::Leader;
        self.grace = grace;
        self
    }

    /// Waits for the end; at an interrupt or past `limit` the group is stopped.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        let ended = poll_until(limit, || self.exited());
        if !matches!(ended, Ok(Some(_))) {
            self.stop();
        }
        ended?.ok_or_else(|| Failure::TimedOut { command: self.name.clone(), limit })
    }

    /// The exit status, if the first process has ended.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>, Failure> {
        if self.ended.is_none() {
            let name = &self.name;
            self.ended = self.child.try_wait().map_err(Failure::io(format!("waiting for `{name}`")))?;
        }
        Ok(self.ended)
    }

    /// Ends the whole group without asking (SIGKILL), and waits for the end of the first process.
    pub(crate) fn kill(&mut self) {
        signal(&self.child, "KILL", Ask::Group);
        if self.ended.is_none() {
            // Without a process group only this reaches the child. An error means that it has just ended.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// Keeps the whole group from running (SIGSTOP) until it is [thawed](Self::thaw). Its sockets stay open.
    pub(crate) fn freeze(&self) {
        signal(&self.child, "STOP", Ask::Group);
    }

    /// Lets a frozen group run again (SIGCONT).
    pub(crate) fn thaw(&self) {
        signal(&self.child, "CONT", Ask::Group);
    }

    /// Asks for an end, waits for it, kills what is left. An interrupt does not cut this short.
    pub(crate) fn stop(&mut self) {
        if matches!(self.exited(), Ok(Some(_))) {
            return;
        }
        signal(&self.child, "TERM", self.ask);
        // Frozen, it would not hear that.
        self.thaw();
        let started = clock::now();
        while matches!(self.exited(), Ok(None)) && started.elapsed() < self.grace {
            thread::sleep(POLL);
        }
        // Also when the first process has ended: one of its own may have ignored the request.
        self.kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The command as one would type it, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program();
    let program = std::path::Path::new(program).file_name().unwrap_or(program);
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

/// Sends a signal by the shell's own `kill`: there is no safe call for it, and not every system has `/bin/kill`.
#[cfg(unix)]
fn signal(child: &Child, name: &str, ask: Ask) {
    let target = match ask {
        Ask::Group => format!("-{}", child.id()),
        Ask::Leader => child.id().to_string(),
    };
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$1" -- "$2""#, "sh", name, &target]);
    // Nothing to tell: a failure means that nobody is left to be signalled.
    let _ = command.stdin(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(not(unix))]
fn signal(_: &Child, _: &str, _: Ask) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_what_the_command_printed() {
        assert_eq!(output(&mut sh("echo one; echo two"), LONG).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn errors_are_given_with_a_good_and_a_bad_end() {
        let (status, text) = errors(&mut sh("echo one >&2"), LONG).unwrap();
        assert_eq!((status.code(), text.as_str()), (Some(0), "one\n"));
        let (status, text) = errors(&mut sh("printf '\\377' >&2; exit 3"), LONG).unwrap();
        assert_eq!((status.code(), text.as_str()), (Some(3), "\u{fffd}"));
    }

    #[test]
    fn a_tail_is_the_end_of_a_text() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        assert_eq!(tail(&log, 2), "line 98\nline 99");
        assert_eq!(tail("one\n", 2), "one");
    }

    #[test]
    fn a_bad_end_names_the_command_and_its_status() {
        let failure = run(&mut sh("exit 3"), LONG).unwrap_err().to_string();
        assert_eq!(failure, "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn a_command_that_cannot_start_is_named() {
        let failure = run(&mut Command::new("stompede-no-such-program"), LONG).unwrap_err().to_string();
        assert!(failure.starts_with("starting `stompede-no-such-program`: "), "{failure}");
    }

    #[test]
    fn past_its_limit_a_command_is_stopped_with_all_its_children() {
        // The pipe closes only when the inner shell, which ignores TERM and holds it open, has gone too.
        let mut command = sh("sh -c 'trap \"\" TERM; echo up; while :; do sleep 60; done' & wait");
        let mut group = Group::spawn(command.stdout(Stdio::piped())).unwrap();
        let mut pipe = group.child.stdout.take().unwrap();
        let mut up = [0; 3];
        pipe.read_exact(&mut up).unwrap();

        let failure = group.wait(Duration::ZERO).unwrap_err();

        assert!(matches!(failure, Failure::TimedOut { .. }), "{failure}");
        assert_eq!(pipe.read(&mut up).unwrap(), 0);
    }

    #[test]
    fn dropping_a_group_ends_it() {
        let mut command = sh("echo up; sleep 60");
        let mut group = Group::spawn(command.stdout(Stdio::piped())).unwrap();
        let mut pipe = group.child.stdout.take().unwrap();
        let mut up = [0; 3];
        pipe.read_exact(&mut up).unwrap();

        drop(group);

        assert_eq!(pipe.read(&mut up).unwrap(), 0);
    }

    #[test]
    fn a_killed_group_is_not_asked() {
        let mut command = sh("trap 'echo asked' TERM; echo up; while :; do sleep 60; done");
        let mut group = Group::spawn(command.stdout(Stdio::piped())).unwrap();
        let mut pipe = group.child.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 3]).unwrap();

        group.kill();

        assert!(!group.exited().unwrap().unwrap().success());
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_frozen_group_is_stopped_in_order_all_the_same() {
        // All that it starts has started by then: who is frozen between a vfork and its exec keeps its parent waiting, which is
        // not called stopped.
        let mut command = sh("trap 'echo asked; exit' TERM; sleep 60 & echo up; wait");
        let mut group = Group::spawn(command.stdout(Stdio::piped())).unwrap();
        let mut pipe = group.child.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 3]).unwrap();

        group.freeze();
        let stat = format!("/proc/{}/stat", group.child.id());
        // `T` is what the system calls a process that a signal has stopped.
        let frozen = || Ok(std::fs::read_to_string(&stat).unwrap().contains(") T ").then_some(()));
        assert_eq!(poll_until(LONG, frozen).unwrap(), Some(()));
        group.stop();

        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "asked\n");
    }
}
