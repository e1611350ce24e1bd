//! A server that stops takes what is not stored yet along to its next start, in a file, as Postgres
//! does with its own statistics. A server that crashes does not: it loses what was counted since
//! the last time that it was stored.

use crate::error;
use crate::shmem::{UsageMemory, saved_file::SavedFile};
use apikey_core::{Usage, first_generation};
use pgrx::prelude::*;
use std::io;

const FILE: SavedFile =
    SavedFile { path: "pg_stat/apikey_usage", unfinished: "pg_stat/apikey_usage.new" };

/// Makes the memory ready, in the postmaster, before anybody counts.
pub fn load(memory: UsageMemory) {
    match first_generation() {
        Ok(first) => memory.header.first_generation(first),
        Err(failed) => error::from_hash(failed.into()).report(PgLogLevel::FATAL),
    }
    if let Err(failed) = resume(memory) {
        let file = FILE.path;
        warning!("apikey could not read {file}, and goes on without its counts: {failed}");
    }
}

fn resume(memory: UsageMemory) -> io::Result<()> {
    let Some(bytes) = FILE.load()? else { return Ok(()) };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let usage = Usage::from_line(line, memory.header.next_generation());
        // Where the memory is smaller now than it was, some have no place in it.
        if usage.is_none_or(|usage| memory.table.resume(&usage).is_err()) {
            memory.header.drop_one();
        }
    }
    Ok(())
}

/// Where nobody counts any more.
pub fn save(memory: UsageMemory) {
    let lines: String = memory.table.to_save().map(|usage| usage.to_line() + "\n").collect();
    if lines.is_empty() {
        return;
    }
    if let Err(failed) = FILE.save(lines.as_bytes()) {
        let file = FILE.path;
        log!("apikey could not write {file}, and loses the counts that are not stored: {failed}");
    }
}
