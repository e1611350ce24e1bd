//! The worker that stores what was counted in one database, in one transaction, then what was renewed, and ends. If it
//! fails, nothing is lost or counted twice: the counts stay in memory, and the next one stores them.

use super::in_memory::{at, ip};
use super::rehashes;
use crate::error::internal;
use crate::pg::as_owner::ActingAsOwner;
use crate::pg::state::{is_read_only, this_database};
use crate::shmem::{UsageMemory, usage_memory};
use apikey_core::Usage;
use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid, panic::ErrorReport};
use pgrx::prelude::*;
use pgrx::spi::SpiResult;
use std::collections::HashSet;
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// Rows that one statement writes.
const CHUNK: usize = 1000;

/// After this long, what is left is left to the next worker: `DROP DATABASE` waits 5 s for those who are connected.
pub const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Whatever the database's own settings are. Its owner, who need not be a superuser, may have set them.
const SETTINGS: [(&CStr, &CStr); 8] = [
    (c"application_name", c"apikey usage flush"),
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"default_transaction_isolation", c"read committed"),
    // It queues behind nobody who locked the table: the next one tries again.
    (c"lock_timeout", c"1s"),
    // A crash loses the last counts in any case, and a standby that does not answer must not stop the worker.
    (c"synchronous_commit", c"off"),
    // Plans have the values of parameters in them, and some of those are hashes.
    (c"debug_print_parse", c"off"),
    (c"debug_print_rewritten", c"off"),
    (c"debug_print_plan", c"off"),
];

/// The extension's own table of this name, if it is in this database and has one.
const TABLE: &str = "
    SELECT c.oid, c.relowner
      FROM pg_extension AS e
      JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE e.extname = 'apikey' AND n.nspname = 'apikey' AND c.relname = $1";

/// Adds what a slot has beyond what the row has of it, as the view does. Rows that somebody holds are left out, and
/// left to the next worker. A key that is not there, because it was deleted, has nothing to be stored, and is done.
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

#[pg_guard]
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn apikey_usage_flush(database: pg_sys::Datum) {
    let Some(memory) = usage_memory() else { return };
    connect(Oid::from(database.value() as u32));
    let done = BackgroundWorker::transaction(|| match flush(memory) {
        Ok(done) => done,
        Err(failed) => {
            failed.report(PgLogLevel::ERROR);
            Vec::new()
        }
    });
    // It is committed, and nothing above this line interrupts.
    memory.written(&done);
    rehashes::store(memory);
}

#[allow(unsafe_code)]
unsafe extern "C-unwind" {
    /// Postgres's own, without what pgrx wraps around it, which is not for signal handlers.
    fn die(signal: i32);
}

#[allow(unsafe_code)]
fn connect(database: Oid) {
    // SAFETY: `die` is the handler that all backends have: it ends the transaction at the next safe point.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
    }
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::empty());
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    for (name, value) in SETTINGS {
        let source = pg_sys::GucSource::PGC_S_OVERRIDE;
        let context = pg_sys::GucContext::PGC_SUSET;
        // SAFETY: Postgres copies both.
        unsafe { pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source) };
    }
}

/// What is stored when this transaction commits, or need not be.
fn flush(memory: UsageMemory) -> Result<Vec<Usage>, ErrorReport> {
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
        let stored = store(chunk).map_err(internal)?;
        done.extend(chunk.iter().filter(|usage| stored.contains(&usage.key.prefix())));
    }
    Ok(done)
}

/// It and its owner.
pub fn find_table(name: &str) -> SpiResult<Option<(Oid, Oid)>> {
    Spi::connect(|client| {
        let rows = client.select(TABLE, Some(1), &[name.into()])?;
        if rows.is_empty() {
            Ok(None)
        } else {
            rows.first().get_two().map(|(table, owner)| table.zip(owner))
        }
    })
}

/// The prefixes of those that are stored, or need not be.
fn store(chunk: &[Usage]) -> SpiResult<HashSet<String>> {
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

/// Two at once could store the counts of one key in the wrong order. Postgres locks no table by this tag.
#[allow(unsafe_code)]
fn be_the_only_one(table: Oid) {
    let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: inside a transaction, whose end releases the lock.
    unsafe { pg_sys::LockDatabaseObject(pg_sys::RelationRelationId, table, 0, mode) };
}

#[allow(unsafe_code)]
pub fn report_activity(what: &CStr) {
    // SAFETY: Postgres copies the text.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, what.as_ptr()) };
}
