//! The worker's first task: to store what was counted in its database.

use super::in_memory::{at, ip};
use super::own_table::{LONG_ENOUGH, find_table};
use crate::error::internal;
use crate::pg::as_owner::ActingAsOwner;
use crate::pg::state::{is_read_only, report_activity, this_database};
use crate::shmem::UsageMemory;
use apikey_core::Usage;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid, panic::ErrorReport};
use pgrx::prelude::*;
use pgrx::spi::SpiResult;
use std::collections::HashSet;
use std::time::Instant;

/// Rows that one statement writes.
const CHUNK: usize = 1000;

/// Adds what a slot has beyond what the row has of it, as the view does. Rows that somebody holds
/// are left out, and left to the next worker. A key that is not there, because it was deleted, has
/// nothing to be stored, and is done.
const STORE: &str = "
    WITH counted AS MATERIALIZED (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6::inet[]) AS c (prefix, slot, accepted, refused, at, ip)
    ), free AS MATERIALIZED (
        SELECT u.prefix, u.slot, u.slot_accepted, u.slot_refused
          FROM apikey.usage AS u WHERE u.prefix = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED
    ), beyond AS (
        SELECT c.*,
               greatest(c.accepted - CASE WHEN f.slot = c.slot THEN f.slot_accepted ELSE 0 END, 0) AS new_accepted,
               greatest(c.refused - CASE WHEN f.slot = c.slot THEN f.slot_refused ELSE 0 END, 0) AS new_refused
          FROM counted AS c JOIN free AS f ON f.prefix = c.prefix
    ), updated AS (
        UPDATE apikey.usage AS u
           SET accepted = least(u.accepted + b.new_accepted::numeric, 9223372036854775807)::bigint,
               refused = least(u.refused + b.new_refused::numeric, 9223372036854775807)::bigint,
               last_used_at = CASE WHEN b.new_accepted > 0 THEN greatest(u.last_used_at, b.at) ELSE u.last_used_at END,
               last_used_ip = CASE
                   WHEN b.new_accepted > 0 AND b.at >= coalesce(u.last_used_at, '-infinity') THEN b.ip
                   ELSE u.last_used_ip
               END,
               slot = b.slot,
               slot_accepted = b.accepted,
               slot_refused = b.refused
          FROM beyond AS b
         WHERE u.prefix = b.prefix
        RETURNING u.prefix
    ), inserted AS (
        INSERT INTO apikey.usage (prefix, accepted, refused, last_used_at, last_used_ip, slot, slot_accepted, slot_refused)
        SELECT k.prefix, c.accepted, c.refused, c.at, c.ip, c.slot, c.accepted, c.refused
          FROM counted AS c JOIN apikey.key AS k ON k.prefix = c.prefix
         WHERE NOT EXISTS (SELECT FROM apikey.usage AS u WHERE u.prefix = c.prefix)
           FOR KEY SHARE OF k SKIP LOCKED
        ON CONFLICT DO NOTHING
        RETURNING prefix
    )
    SELECT prefix FROM updated
    UNION ALL SELECT prefix FROM inserted
    UNION ALL SELECT c.prefix FROM counted AS c
               WHERE NOT EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = c.prefix)";

/// In one transaction. If it fails, nothing is lost or counted twice: the counts stay in memory,
/// and the next worker stores them.
pub fn store(memory: UsageMemory) {
    let done = BackgroundWorker::transaction(|| match store_all(memory) {
        Ok(done) => done,
        Err(failed) => {
            failed.report(PgLogLevel::ERROR);
            Vec::new()
        }
    });
    // It is committed, and nothing above this line interrupts.
    memory.written(&done);
}

/// What is stored when this transaction commits, or need not be.
fn store_all(memory: UsageMemory) -> Result<Vec<Usage>, ErrorReport> {
    let here = || {
        let all = memory.unwritten().into_iter();
        all.filter(|usage| usage.key.database == this_database()).collect::<Vec<_>>()
    };
    let Some((table, owner)) = find_table("usage").map_err(internal)? else { return Ok(here()) };
    if is_read_only() {
        return Ok(Vec::new());
    }
    report_activity(c"storing the usage of API keys");
    let _owner = ActingAsOwner::restricted(owner);
    be_the_only_one(table);
    let (mut done, started) = (Vec::new(), Instant::now());
    for chunk in here().chunks(CHUNK).take_while(|_| started.elapsed() < LONG_ENOUGH) {
        let stored = store_chunk(chunk).map_err(internal)?;
        done.extend(chunk.iter().filter(|usage| stored.contains(&usage.key.prefix())));
    }
    Ok(done)
}

/// The prefixes of those that are stored, or need not be.
fn store_chunk(chunk: &[Usage]) -> SpiResult<HashSet<String>> {
    let arguments: [DatumWithOid<'_>; 6] = [
        chunk.iter().map(|usage| usage.key.prefix()).collect::<Vec<_>>().into(),
        chunk.iter().map(|usage| usage.generation).collect::<Vec<_>>().into(),
        chunk.iter().map(|usage| usage.counts.accepted).collect::<Vec<_>>().into(),
        chunk.iter().map(|usage| usage.counts.refused).collect::<Vec<_>>().into(),
        chunk.iter().map(at).collect::<Vec<_>>().into(),
        chunk.iter().map(ip).collect::<Vec<_>>().into(),
    ];
    Spi::connect_mut(|client| {
        client.update(STORE, None, &arguments)?.filter_map(|row| row.get(1).transpose()).collect()
    })
}

/// Two at once could store the counts of one key in the wrong order. Postgres locks no table by
/// this tag.
#[allow(unsafe_code, reason = "it calls functions of Postgres")]
fn be_the_only_one(table: Oid) {
    let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: inside a transaction, whose end releases the lock.
    unsafe { pg_sys::LockDatabaseObject(pg_sys::RelationRelationId, table, 0, mode) };
}
