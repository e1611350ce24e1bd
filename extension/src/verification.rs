//! The path that every question about a key takes: the key's row, whether the secret is right, and
//! only then the verdict, from the row. What is remembered is that a secret is right, never that a
//! key is valid.

use crate::hash_permit::HashPermit;
use crate::pg::state::clock;
use crate::rehash::rehash;
use crate::shmem::{Counter, Memory, memory};
use crate::table::row::{self, Row};
use crate::usage;
use apikey_core::{Answer, Ended, Outcome, Reason, tag};
use apikey_format::{Key, Network};
use pgrx::pg_sys::{TimestampTz, panic::ErrorReport};

/// The tenant of those who have no tenants.
const ONE_TENANT: &str = "";

/// Whether a key may be hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Wait,
    Never,
}

/// What is asked about a key.
pub struct Question<'a> {
    pub key: Option<&'a str>,
    /// `None`: unknown.
    pub ip: Option<Network>,
    /// `None`: none in particular.
    pub scope: Option<&'a str>,
    pub tenant: Option<&'a str>,
}

pub struct Verdict {
    pub reason: Reason,
    /// Of a valid key.
    pub valid: Option<(Row, Answer)>,
}

/// Looks at the row once, writes nothing, and counts the question.
pub fn verify(question: &Question<'_>, hash: Hash) -> Result<Verdict, ErrorReport> {
    const INVALID: Verdict = Verdict { reason: Reason::InvalidKey, valid: None };
    let memory = memory()?;
    let Some(key) = question.key.and_then(Key::parse) else {
        memory.counters.add(Counter::Malformed);
        return Ok(INVALID);
    };
    let Some(row) = row::find(key.prefix())? else {
        memory.counters.add(Counter::UnknownPrefix);
        return Ok(INVALID);
    };
    let tenant = question.tenant.unwrap_or(ONE_TENANT);
    let mut now = clock();
    // The row first: a key that is not valid in any case buys nobody a hash.
    let mut refused = refusal(&row, tenant, now);
    if refused.is_none() {
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
        refused = match is_secret_right {
            true => refusal(&row, tenant, now),
            false => Some(Counter::WrongSecret),
        };
    }
    if let Some(why) = refused {
        memory.counters.add(why);
        usage::count(key.prefix(), Outcome::Refused);
        return Ok(INVALID);
    }
    rehash(memory, key, &row, now);
    let answer = row.answer(question.ip.as_ref())?;
    let (counter, outcome) = match answer.ip_valid {
        true => (Counter::Accepted, Outcome::Accepted(now, answer.ip_request)),
        false => (Counter::WrongAddress, Outcome::Refused),
    };
    memory.counters.add(counter);
    usage::count(key.prefix(), outcome);
    Ok(Verdict { reason: answer.reason(question.scope), valid: Some((row, answer)) })
}

/// Cheapest first: a proof that it is, then the tag that says that it is not. `None`: only the slow
/// hash can tell.
fn is_known_to_be_right(memory: Memory, key: Key<'_>, row: &Row) -> Option<bool> {
    let verifier = row.verifier();
    if memory.proofs.contains(row.proof(memory.mac_key, key, verifier)) {
        memory.counters.add(Counter::ProofHits);
        return Some(true);
    }
    let is_wrong = |stored| !key.is_generated() || stored != tag(key, verifier);
    row.tag().is_some_and(is_wrong).then_some(false)
}

fn is_hash_right(memory: Memory, key: Key<'_>, row: &Row) -> Result<bool, ErrorReport> {
    memory.counters.add(Counter::ProofMisses);
    let proof = row.proof(memory.mac_key, key, row.verifier());
    let permit = HashPermit::wait(memory, key);
    // Of many that came at once with one key, the first has made the proof meanwhile.
    if memory.proofs.contains(proof) {
        return Ok(true);
    }
    let is_right = permit.verify(key, row.verifier())?;
    if is_right {
        memory.proofs.insert(proof);
    }
    Ok(is_right)
}

/// Why a key is not valid, whatever its secret.
fn refusal(row: &Row, tenant: &str, now: TimestampTz) -> Option<Counter> {
    if row.tenant() != tenant {
        return Some(Counter::WrongTenant);
    }
    row.ended(now).map(|ended| match ended {
        Ended::Revoked => Counter::Revoked,
        Ended::Expired => Counter::Expired,
        Ended::Disabled => Counter::Disabled,
    })
}
