//! Signals to a server's processes, as the kernel or an operator in despair would send them.

use crate::program::{program, run};
use crate::servers::cluster::Cluster;
use crate::waiting::eventually;
use std::fs;
use std::path::Path;

/// A cluster that does nothing at all, until this is dropped.
pub struct Frozen(Vec<u32>);

impl Cluster {
    pub fn postmaster(&self) -> u32 {
        self.file("data/postmaster.pid").lines().next().unwrap().trim().parse().unwrap()
    }

    /// SIGKILL for the postmaster alone. Returns when its children have noticed, and are gone.
    pub fn kill_postmaster(&self) {
        let processes = self.processes();
        signal("KILL", &[self.postmaster()]);
        eventually("the server's processes are gone", || {
            processes.iter().all(|process| parent(*process).is_none())
        });
    }

    /// SIGSTOP for all processes.
    pub fn freeze(&self) -> Frozen {
        // The postmaster first, so that no child is added.
        let postmaster = self.postmaster();
        signal("STOP", &[postmaster]);
        let processes = self.processes();
        signal("STOP", &processes);
        Frozen(processes)
    }

    /// The postmaster and its children.
    fn processes(&self) -> Vec<u32> {
        let postmaster = self.postmaster();
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok())
        });
        all.filter(|process| *process == postmaster || parent(*process) == Some(postmaster))
            .collect()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

/// `kill -s NAME PID…`
pub fn signal(name: &str, processes: &[u32]) {
    let processes: Vec<_> = processes.iter().map(ToString::to_string).collect();
    // Some may have ended by themselves.
    run(program("kill", &["-s", name]).args(processes));
}

/// Nothing where there is no such process any more.
fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    status.ok()?.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}
