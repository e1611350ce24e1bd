//! What is counted, and may not be stored yet.

use crate::pg::state::this_database;
use crate::shmem::usage_memory;
use apikey_core::{KeyId, Usage};
use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;

/// One row for each key of this database that has a slot.
#[pg_extern(volatile, parallel_restricted)]
#[allow(clippy::type_complexity, reason = "pgrx reads the names of the columns from it")]
fn usage_in_memory() -> TableIterator<
    'static,
    (
        name!(prefix, String),
        name!(slot, i64),
        name!(accepted, i64),
        name!(refused, i64),
        name!(last_used_at, Option<TimestampWithTimeZone>),
        name!(last_used_ip, Option<Inet>),
    ),
> {
    let all = usage_memory().map_or_else(Vec::new, |memory| memory.read());
    let here = all.into_iter().filter(|usage| usage.key.database == this_database());
    TableIterator::new(here.map(|usage| {
        let (at, ip) = (at(&usage), ip(&usage).map(Inet));
        let counts = usage.counts;
        (usage.key.prefix(), usage.generation, counts.accepted, counts.refused, at, ip)
    }))
}

/// What the key's slot has counted, if it has one.
#[pg_extern(volatile, parallel_restricted)]
fn usage_in_memory_of(
    prefix: &str,
) -> TableIterator<'static, (name!(slot, i64), name!(accepted, i64), name!(refused, i64))> {
    let key = KeyId::new(this_database(), prefix);
    let found = usage_memory().zip(key).and_then(|(memory, key)| memory.read_of(key));
    TableIterator::new(
        found.map(|usage| (usage.generation, usage.counts.accepted, usage.counts.refused)),
    )
}

pub fn at(usage: &Usage) -> Option<TimestampWithTimeZone> {
    usage.last_use.and_then(|used| used.at.try_into().ok())
}

pub fn ip(usage: &Usage) -> Option<String> {
    usage.last_use.and_then(|used| used.from).map(|address| address.to_string())
}
