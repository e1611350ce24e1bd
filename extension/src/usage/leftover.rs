//! A server that stops takes what is not stored yet along to its next start, in a file, as Postgres does with
//! its own statistics. A server that crashes does not: it loses what was counted since the last time that it
//! was stored.

use super::UsageMemory;
use crate::error;
use crate::memory::usage_memory;
use apikey_core::{Usage, first_generation};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::fs;
use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::SeqCst;

/// In the data directory, where the server runs. It is there only while the server is not.
const FILE: &str = "pg_stat/apikey_usage";
const NEW_FILE: &str = "pg_stat/apikey_usage.new";

/// Makes the memory ready, in the postmaster, before anybody counts.
pub fn start(memory: UsageMemory) {
    match first_generation() {
        Ok(first) => memory.header.next_generation.store(first, SeqCst),
        Err(failed) => error::from_hash(failed.into()).report(PgLogLevel::FATAL),
    }
    if let Err(failed) = take_up(memory) {
        warning!("apikey could not read {FILE}, and goes on without its counts: {failed}");
    }
    at_exit();
}

/// A file that was read is removed: it would be counted again after a crash.
fn take_up(memory: UsageMemory) -> io::Result<()> {
    let bytes = match fs::read(FILE) {
        Err(failed) if failed.kind() == ErrorKind::NotFound => return Ok(()),
        bytes => bytes?,
    };
    fs::remove_file(FILE)?;
    for line in String::from_utf8_lossy(&bytes).lines() {
        let usage = Usage::from_line(line, memory.header.next_generation());
        // Where the memory is smaller now than it was, some have no place in it.
        if usage.is_none_or(|usage| memory.table.resume(&usage).is_err()) {
            memory.header.dropped.fetch_add(1, SeqCst);
        }
    }
    Ok(())
}

fn leave(memory: UsageMemory) -> io::Result<()> {
    let lines: String = memory.table.leftover().map(|usage| usage.to_line() + "\n").collect();
    if lines.is_empty() {
        return Ok(());
    }
    fs::write(NEW_FILE, lines)?;
    fs::rename(NEW_FILE, FILE)
}

#[allow(unsafe_code)]
fn at_exit() {
    // SAFETY: called in the postmaster. The callback stays loaded, and has the signature that Postgres expects.
    unsafe { pg_sys::on_shmem_exit(Some(postmaster_exits), pg_sys::Datum::null()) };
}

/// The last of all processes to end: nobody counts any more. Its children do not come here, they start without
/// its callbacks.
#[allow(unsafe_code)]
#[pg_guard]
unsafe extern "C-unwind" fn postmaster_exits(code: i32, _argument: pg_sys::Datum) {
    // After a crash, the memory is not to be trusted.
    let Some(memory) = usage_memory().filter(|_| code == 0) else { return };
    if let Err(failed) = leave(memory) {
        log!("apikey could not write {FILE}, and loses the counts that are not stored: {failed}");
    }
}
