//! CPU time of processes, from the outside. `schedstat` counts in nanoseconds; only what is known
//! of ended processes comes in the 10 ms of `stat`.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What the kernel calls a tick towards programs, on all architectures that Postgres runs on here.
const TICK: Duration = Duration::from_millis(10);

/// All processes of one Postgres server.
pub struct Server {
    postmaster: u32,
}

impl Server {
    /// The one whose data is in this cluster's directory.
    pub fn of_cluster(directory: &Path) -> Self {
        let file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        Self { postmaster: file.lines().next().unwrap().parse().unwrap() }
    }

    /// What the server has used so far: its running processes, and those that have ended. The
    /// checkpointer's part and that of other workers belong to what is measured, too.
    pub fn cpu(&self) -> Duration {
        loop {
            let children = self.children();
            let running: Duration = children.iter().map(|child| process_cpu(child.pid)).sum();
            let ended = Stat::of(self.postmaster).unwrap().ended_children;
            // One that has just ended counts nowhere until the postmaster has noticed.
            if children.iter().all(|child| !child.is_zombie) && children == self.children() {
                return process_cpu(self.postmaster) + running + ended;
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Runs `load`, which opens connections and closes them, and says what the server used for it.
    pub fn cpu_of<T>(&self, load: impl FnOnce() -> T) -> (T, Duration) {
        let (before, children) = (self.cpu(), self.children());
        let result = load();
        let patience = Instant::now() + Duration::from_secs(2);
        let is_new = |child: &Child| !children.contains(child);
        while self.children().iter().any(is_new) && Instant::now() < patience {
            sleep(Duration::from_millis(1));
        }
        (result, self.cpu().saturating_sub(before))
    }

    fn children(&self) -> Vec<Child> {
        let processes = fs::read_dir("/proc").unwrap();
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| {
            let stat = Stat::of(pid).filter(|stat| stat.parent == self.postmaster)?;
            Some(Child { pid, is_zombie: stat.is_zombie })
        })
        .collect()
    }
}

#[derive(PartialEq)]
struct Child {
    pid: u32,
    is_zombie: bool,
}

/// CPU time of all threads of a process; nothing if it has ended.
pub fn process_cpu(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanoseconds = threads.filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Memory of its own that a process has, in bytes: no files, nothing shared.
pub fn anonymous_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1024 * kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

/// Of proc(5)'s /proc/PID/stat.
struct Stat {
    is_zombie: bool,
    parent: u32,
    ended_children: Duration,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold blanks. What follows begins with field 3.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
        let (cutime, cstime) = (field(16)?, field(17)?);
        let ended_children = TICK * (cutime + cstime);
        Some(Self { is_zombie: fields[0] == "Z", parent: field(4)?, ended_children })
    }
}
