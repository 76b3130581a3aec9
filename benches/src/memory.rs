//! What a process holds, and how one is started that may hold many connections.

use std::process::Command;
use std::{env, fs};

use stats_alloc::INSTRUMENTED_SYSTEM;

/// Octets that this process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Asked for and not given back; 0 unless the program has stats_alloc's counting allocator.
    pub(crate) allocated: usize,
    /// In memory, where the system tells.
    pub(crate) resident: Option<usize>,
}

impl Held {
    pub(crate) fn now() -> Self {
        let stats = INSTRUMENTED_SYSTEM.stats();
        Self { allocated: stats.bytes_allocated - stats.bytes_deallocated, resident: resident() }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            allocated: self.allocated.saturating_sub(before.allocated),
            resident: self.resident.zip(before.resident).map(|(now, then)| now.saturating_sub(then)),
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (allocated, resident) = line.split_once(' ')?;
        Some(Self { allocated: allocated.parse().ok()?, resident: resident.parse().ok() })
    }

    /// For the process that asked.
    pub(crate) fn to_text(self) -> String {
        let resident = self.resident.map_or("unknown".into(), |octets| octets.to_string());
        format!("{} {resident}", self.allocated)
    }
}

/// Octets of the process that are in memory. `status` has them in KiB; `statm` would need the size of a page.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

/// A program that may open as many files as the system lets it.
pub(crate) fn many_files(program: &str) -> Command {
    if cfg!(unix) {
        // The soft limit of open files, which is often 1024, may be raised to the hard one.
        let mut shell = Command::new("sh");
        shell.args(["-c", RAISE, program]);
        shell
    } else {
        let mut command = Command::new(program);
        command.env(OPEN_FILES, "unlimited");
        command
    }
}

/// How many connections the limit of open files leaves room for in a program that [`many_files`] started.
pub(crate) fn files() -> usize {
    // Unset or unlimited, it is no limit.
    let files = env::var(OPEN_FILES).ok().and_then(|files| files.parse().ok()).unwrap_or(usize::MAX);
    files.saturating_sub(SPARE_FILES)
}

/// Raises the limit of open files as far as it goes, says how far, and becomes the program.
const RAISE: &str = r#"ulimit -S -n "$(ulimit -H -n)"; STOMPEDE_OPEN_FILES="$(ulimit -S -n)" exec "$0" "$@""#;

const OPEN_FILES: &str = "STOMPEDE_OPEN_FILES";

/// Descriptors besides those of the connections: the standard ones, the listeners', the runtime's.
const SPARE_FILES: usize = 64;
