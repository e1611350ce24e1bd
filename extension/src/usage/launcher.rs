//! A process that starts, for each database that has counts or renewed hashes to store, a worker
//! that stores them and ends. It is itself in no database, and so holds back no `DROP DATABASE`; a
//! worker does for as long as it writes. Postgres does the same with its autovacuum.

#![allow(unsafe_code, reason = "it calls functions of Postgres")]

use super::background_worker::Worker;
use crate::error;
use crate::gucs;
use crate::pg::state::is_preloading;
use crate::shmem::{UsageMemory, usage_memory};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Of the server's `max_worker_processes`, 8 by default, this many are taken at most.
const WORKERS_AT_ONCE: usize = 2;

/// Where the table is crowded, the next round comes early, but not at once.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

const RESTART_AFTER: Duration = Duration::from_secs(10);

/// To be called from `_PG_init`. It does not start on a standby, until that is promoted.
pub fn register() {
    // SAFETY: read on the process's only thread.
    let is_wanted = is_preloading() && !unsafe { pg_sys::IsBinaryUpgrade };
    if is_wanted {
        BackgroundWorkerBuilder::new("apikey usage launcher")
            .set_library("apikey")
            .set_function("apikey_usage_launcher")
            .enable_spi_access()
            .set_restart_time(Some(RESTART_AFTER))
            .load();
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn apikey_usage_launcher(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // To no database: what it sees are the catalogs that all of them share.
    BackgroundWorker::connect_worker_to_spi(None, None);
    if let Some(memory) = usage_memory() {
        // SAFETY: set when the process started.
        memory.header.set_launcher(unsafe { pg_sys::MyLatch });
        Launcher::new(memory).run();
    }
    // Whoever exits with 0 is not started again. When the server stops, nobody is.
    // SAFETY: the last thing that the process does.
    unsafe { pg_sys::proc_exit(1) };
}

struct Launcher {
    memory: UsageMemory,
    last_round: Instant,
    /// Databases whose turn in this round is to come.
    waiting: Vec<Oid>,
    running: Vec<Worker>,
    is_short_of_workers: bool,
}

impl Launcher {
    fn new(memory: UsageMemory) -> Self {
        let last_round = Instant::now();
        let (waiting, running) = (Vec::new(), Vec::new());
        Self { memory, last_round, waiting, running, is_short_of_workers: false }
    }

    /// Until SIGTERM. It wakes up when a round is due, when a worker has ended, when the table is
    /// crowded, and when the settings are to be read again.
    fn run(&mut self) {
        while BackgroundWorker::wait_latch(Some(self.until_next_round())) {
            if BackgroundWorker::sighup_received() {
                reload_settings();
            }
            if self.until_next_round().is_zero() {
                self.begin_round();
            }
            self.running.retain(|worker| !worker.is_over());
            self.start_workers();
        }
    }

    fn until_next_round(&self) -> Duration {
        let is_crowded = self.memory.header.is_round_asked_for();
        let interval = if is_crowded { SHORTEST_INTERVAL } else { gucs::usage_flush_interval() };
        interval.saturating_sub(self.last_round.elapsed())
    }

    fn begin_round(&mut self) {
        self.last_round = Instant::now();
        self.memory.header.begin_round();
        let unwritten = self.memory.unwritten();
        let rehashes = self.memory.rehashes.pending();
        let counted = unwritten.iter().map(|usage| usage.key.database);
        let renewed = rehashes.iter().map(|(_, rehash)| rehash.key.database);
        let databases: BTreeSet<_> = counted.chain(renewed).collect();
        if databases.is_empty() {
            return;
        }
        let states = BackgroundWorker::transaction(|| {
            databases.iter().map(|&oid| (oid, state(oid.into()))).collect::<Vec<_>>()
        });
        self.waiting.clear();
        for (oid, state) in states {
            match state {
                State::Open => self.waiting.push(oid.into()),
                // Its counts stay until it is opened.
                State::Closed => {}
                State::Gone => {
                    let lost = unwritten.iter().filter(|usage| usage.key.database == oid);
                    self.memory.written(lost);
                    let lost = rehashes.iter().filter(|(_, rehash)| rehash.key.database == oid);
                    lost.for_each(|(ticket, _)| ticket.settle());
                }
            }
        }
    }

    fn start_workers(&mut self) {
        while self.running.len() < WORKERS_AT_ONCE {
            let Some(database) = self.waiting.pop() else { return };
            if self.running.iter().any(|worker| worker.database == database) {
                continue;
            }
            let Some(worker) = Worker::start(database) else {
                self.waiting.clear();
                self.say_that_it_is_short_of_workers();
                return;
            };
            self.running.push(worker);
            self.is_short_of_workers = false;
        }
    }

    /// Once, until it was better.
    fn say_that_it_is_short_of_workers(&mut self) {
        if !std::mem::replace(&mut self.is_short_of_workers, true) {
            error::report(
                PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                "apikey has no background worker to store the usage of API keys with".to_owned(),
            )
            .set_detail("It tries again, and goes on counting in memory.")
            .set_hint("Increase max_worker_processes.")
            .report(PgLogLevel::LOG);
        }
    }
}

fn reload_settings() {
    // SAFETY: what each background worker does after SIGHUP, outside a transaction.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
}

enum State {
    Open,
    /// Nobody may connect.
    Closed,
    Gone,
}

/// `datconnlimit` of a database whose `DROP DATABASE` was interrupted.
const INVALID: i32 = -2;

fn state(database: Oid) -> State {
    use pg_sys::SysCacheIdentifier::DATABASEOID;
    // SAFETY: inside a transaction. A row of pg_database begins with these fields, and is valid
    // until released.
    unsafe {
        let row = pg_sys::SearchSysCache1(DATABASEOID as i32, database.into());
        if row.is_null() {
            return State::Gone;
        }
        let fields = pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_database>();
        let state = match ((*fields).datconnlimit, (*fields).datallowconn) {
            (INVALID, _) => State::Gone,
            (_, true) => State::Open,
            (_, false) => State::Closed,
        };
        pg_sys::ReleaseSysCache(row);
        state
    }
}
