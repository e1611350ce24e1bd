//! The worker's second task: to store the hashes that checks have renewed.

use super::own_table::{LONG_ENOUGH, find_table};
use crate::error::{internal, report};
use crate::pg::as_owner::ActingAsOwner;
use crate::pg::log::log;
use crate::pg::state::{is_read_only, report_activity, this_database};
use crate::pg::subtransaction::attempt;
use crate::shmem::UsageMemory;
use apikey_core::{Rehash, Ticket};
use pgrx::bgworkers::BackgroundWorker;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::errcodes::PgSqlErrorCode as Code;
use pgrx::pg_sys::panic::{CaughtError, CaughtError::PostgresError, ErrorReport};
use pgrx::prelude::*;
use std::time::Instant;

/// Compare and set: a row that changed since, or that is revoked, is left alone. What stands beside
/// the hash, such as an expiry, is not touched. False for a row that somebody holds, which the next
/// worker tries again.
macro_rules! store {
    ($columns:literal) => {
        concat!(
            "WITH free AS MATERIALIZED (
                 SELECT prefix FROM apikey.key WHERE prefix = $1 AND verifier = $2 AND revoked_at IS NULL
                    FOR NO KEY UPDATE SKIP LOCKED
             ), stored AS (
                 UPDATE apikey.key AS k SET ",
            $columns,
            " FROM free AS f WHERE k.prefix = f.prefix RETURNING k.prefix
             )
             SELECT EXISTS (SELECT FROM stored)
                 OR NOT EXISTS (SELECT FROM apikey.key WHERE prefix = $1 AND verifier = $2 AND revoked_at IS NULL)"
        )
    };
}

/// Those of this database, each by itself: what is wrong with one row is no other's business.
pub fn store(memory: UsageMemory) {
    let mut pending = memory.rehashes.pending();
    pending.retain(|(_, rehash)| rehash.key.database == this_database());
    if pending.is_empty() {
        return;
    }
    let settled = BackgroundWorker::transaction(|| match store_all(pending) {
        Ok(settled) => settled,
        Err(failed) => {
            failed.report(PgLogLevel::ERROR);
            Vec::new()
        }
    });
    // As with the counts: it is committed.
    settled.into_iter().for_each(Ticket::settle);
}

/// What is stored when this transaction commits, or need not be.
fn store_all<'a>(pending: Vec<(Ticket<'a>, Rehash)>) -> Result<Vec<Ticket<'a>>, ErrorReport> {
    let Some((_, owner)) = find_table("key").map_err(internal)? else {
        return Ok(pending.into_iter().map(|(ticket, _)| ticket).collect());
    };
    if is_read_only() {
        return Ok(Vec::new());
    }
    report_activity(c"storing renewed hashes of API keys");
    let _owner = ActingAsOwner::restricted(owner);
    // What a constraint or a trigger has to say, it says about the row, and not when all of them
    // are committed.
    Spi::connect_mut(|client| client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]).map(drop))
        .map_err(internal)?;
    let (mut settled, started) = (Vec::new(), Instant::now());
    for (ticket, rehash) in pending {
        if started.elapsed() > LONG_ENOUGH {
            break;
        }
        let mut is_settled = false;
        let stored = attempt(|| {
            is_settled = store_one(&rehash)?;
            Ok(())
        });
        match stored {
            Ok(()) => settled.extend(is_settled.then_some(ticket)),
            Err(why) => complain(ticket, &rehash, why),
        }
    }
    Ok(settled)
}

/// False: it is to be tried again.
fn store_one(Rehash { key, old, new, tag }: &Rehash) -> Result<bool, ErrorReport> {
    let prefix = key.prefix();
    let [prefix, old, new] = [&prefix, old, new].map(|text| DatumWithOid::from(text.as_str()));
    let stored = Spi::connect_mut(|client| {
        let rows = match tag {
            None => client.update(store!("verifier = $3"), None, &[prefix, old, new]),
            // A tag that somebody took away meanwhile stays away.
            Some(tag) => {
                let columns =
                    store!("verifier = $3, tag = CASE WHEN k.tag IS NOT NULL THEN $4 END");
                client.update(columns, None, &[prefix, old, new, tag.cast_signed().into()])
            }
        };
        rows?.first().get_one()
    });
    stored.map(|stored| stored == Some(true)).map_err(internal)
}

/// Once for each hash that was made: it is tried again in every round. That a table is locked
/// passes by itself.
fn complain(ticket: Ticket<'_>, rehash: &Rehash, why: CaughtError) {
    match why {
        PostgresError(why) if why.sql_error_code() == Code::ERRCODE_LOCK_NOT_AVAILABLE => {}
        PostgresError(why) if ticket.is_news() => {
            let prefix = rehash.key.prefix();
            let message =
                format!("the new hash of API key {prefix} is not stored: {}", why.message());
            log(report(why.sql_error_code(), message).set_hint(
                "The key works, with the hash that it has. Make room, or see to the triggers and constraints of apikey.key.",
            ));
        }
        PostgresError(_) => {}
        other => other.rethrow(),
    }
}
