//! `apikey_check`, and the verification below it and `apikey_authorize`, the path that every request
//! takes: the key's row, whether the secret is right, and only then the verdict, from the row. What is
//! remembered is that a secret is right, never that a key is valid.

use crate::error::internal;
use crate::hashing::Turn;
use crate::memory::{Memory, memory};
use crate::probe::{self, Row};
use crate::raw;
use crate::renew::renew;
use crate::sql_types::{Inet, Json};
use crate::stats::Counter;
use crate::usage;
use apikey_core::{Answer, Ended, Key, Network, Outcome, Proof, Reason, tag};
use pgrx::pg_sys::{TimestampTz, panic::ErrorReport};
use pgrx::prelude::*;

/// The tenant of those who have no tenants.
const ONE_TENANT: &str = "";

/// What is said at once of a key that only a slow hash could tell from a wrong one.
const NEEDS_HASH: &str = r#"{"needs_hash":true}"#;

/// Whether a key may be hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Wait,
    Never,
}

/// One question about a key.
pub struct Question<'a> {
    pub key: Option<&'a str>,
    /// `None`: an unknown address.
    pub ip: Option<Inet>,
    /// `None`: no scope in particular.
    pub scope: Option<&'a str>,
    pub tenant: Option<&'a str>,
}

pub struct Verdict {
    pub reason: Reason,
    /// The row of a valid key, and what it says about the question.
    pub valid: Option<(Row, Answer)>,
}

/// The answer for a valid key; NULL for any other text, whatever is wrong with it.
#[pg_extern(volatile, parallel_safe)]
fn apikey_check(key: Option<&str>, ip: Option<Inet>) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, None, Hash::Wait)
}

/// The same for the keys of one tenant.
#[pg_extern(name = "apikey_check", volatile, parallel_safe)]
fn check_in_tenant(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, tenant, Hash::Wait)
}

/// The same without waiting for a slow hash. Where there is no other way it says so, and has counted nothing.
#[pg_extern(volatile, parallel_safe)]
fn check_key_at_once(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, tenant, Hash::Never)
}

/// The prefix of a key. NULL: the text is not a key.
#[pg_extern(immutable, parallel_safe, strict)]
fn prefix_of(key: &str) -> Option<String> {
    Key::parse(key).map(|key| key.prefix().to_owned())
}

/// Whether a verifier was made from a key.
#[pg_extern(volatile, parallel_safe, strict)]
fn matches(key: &str, verifier: &str) -> Result<bool, ErrorReport> {
    let Some(key) = Key::parse(key) else { return Ok(false) };
    Turn::wait(memory()?, key).verify(key, verifier)
}

fn check(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
    hash: Hash,
) -> Result<Option<Json>, ErrorReport> {
    let verdict = verify(&Question { key, ip, scope: None, tenant }, hash)?;
    match verdict.valid {
        Some((_, answer)) => serde_json::to_string(&answer).map(Json).map(Some).map_err(internal),
        None if verdict.reason == Reason::NeedsHash => Ok(Some(Json(NEEDS_HASH.to_owned()))),
        None => Ok(None),
    }
}

/// Verifies one key. It looks at the row once, counts the question, and writes nothing.
pub fn verify(question: &Question<'_>, hash: Hash) -> Result<Verdict, ErrorReport> {
    const INVALID: Verdict = Verdict { reason: Reason::InvalidKey, valid: None };
    let memory = memory()?;
    let Some(key) = question.key.and_then(Key::parse) else {
        memory.counters.add(Counter::Malformed);
        return Ok(INVALID);
    };
    let Some(row) = probe::find(key.prefix())? else {
        memory.counters.add(Counter::UnknownPrefix);
        return Ok(INVALID);
    };
    let tenant = question.tenant.unwrap_or(ONE_TENANT);
    let mut now = clock();
    // The row first: a key that is not valid in any case buys nobody a hash.
    let mut refusal = row.refusal(tenant, now);
    if refusal.is_none() {
        let is_secret_right = match is_known_to_be_right(memory, key, &row) {
            Some(is_right) => is_right,
            // Not preloaded, a backend has to find out for itself.
            None if hash == Hash::Never && memory.is_shared => {
                return Ok(Verdict { reason: Reason::NeedsHash, valid: None });
            }
            None => {
                let is_right = is_hash_right(memory, key, &row)?;
                now = clock();
                is_right
            }
        };
        refusal = match is_secret_right {
            true => row.refusal(tenant, now),
            false => Some(Counter::WrongSecret),
        };
    }
    if let Some(why) = refusal {
        memory.counters.add(why);
        usage::count(key.prefix(), Outcome::Refused);
        return Ok(INVALID);
    }
    renew(memory, key, &row, now);
    let answer = row.answer(question.ip.as_ref().map(|ip| &ip.0))?;
    let (counter, outcome) = match answer.ip_valid {
        true => (Counter::Accepted, Outcome::Accepted(now, answer.ip_request)),
        false => (Counter::WrongAddress, Outcome::Refused),
    };
    memory.counters.add(counter);
    usage::count(key.prefix(), outcome);
    Ok(Verdict { reason: answer.reason(question.scope), valid: Some((row, answer)) })
}

/// Cheapest first: a proof that it is, then the tag that says that it is not. `None`: only the slow hash can tell.
fn is_known_to_be_right(memory: Memory, key: Key<'_>, row: &Row) -> Option<bool> {
    let verifier = row.verifier();
    if memory.proofs.contains(row.proof(memory, key, verifier)) {
        memory.counters.add(Counter::ProofHits);
        return Some(true);
    }
    let is_wrong = |stored| !key.is_generated() || stored != tag(key, verifier);
    row.tag().is_some_and(is_wrong).then_some(false)
}

fn is_hash_right(memory: Memory, key: Key<'_>, row: &Row) -> Result<bool, ErrorReport> {
    memory.counters.add(Counter::ProofMisses);
    let proof = row.proof(memory, key, row.verifier());
    let turn = Turn::wait(memory, key);
    // Of many that came at once with one key, the first has made the proof meanwhile.
    if memory.proofs.contains(proof) {
        return Ok(true);
    }
    let is_right = turn.verify(key, row.verifier())?;
    if is_right {
        memory.proofs.insert(proof);
    }
    Ok(is_right)
}

impl Row {
    /// Of this row's key and a verifier, its own or one that renews it. Only a generated key has a tag.
    pub fn proof(&self, memory: Memory, key: Key<'_>, verifier: &str) -> Proof {
        Proof::new(memory.mac_key, key, verifier, self.tag().is_some())
    }

    /// Why a key is not valid, whatever its secret.
    fn refusal(&self, tenant: &str, now: TimestampTz) -> Option<Counter> {
        if self.tenant() != tenant {
            return Some(Counter::WrongTenant);
        }
        self.ended(now).map(|ended| match ended {
            Ended::Revoked => Counter::Revoked,
            Ended::Expired => Counter::Expired,
            Ended::Disabled => Counter::Disabled,
        })
    }

    fn answer(&self, address: Option<&Network>) -> Result<Answer, ErrorReport> {
        Ok(Answer::new(self.auth()?, self.allowed_ips().as_deref(), address))
    }
}

/// The wall's and not the transaction's: a key expires on time in a transaction that is kept open, too.
#[allow(unsafe_code)]
pub fn clock() -> TimestampTz {
    // SAFETY: reads the clock, and raises no error.
    unsafe { raw::GetCurrentTimestamp() }
}
