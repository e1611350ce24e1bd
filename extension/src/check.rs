//! `apikey_check`: one look-up by prefix, one comparison of the secret, then the verdict from the row.

use crate::error::{self, internal};
use crate::renew::renew;
use apikey_core::{Answer, Auth, Key, Network};
use pgrx::Json;
use pgrx::datum::{DatumWithOid, Inet};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiResult};
use std::cell::OnceCell;

/// Everything that a check needs to know, from the caller's snapshot. The clock is the wall's and not
/// the transaction's: a key expires on time in a transaction that is kept open, too.
const PROBE: &str = "
    SELECT verifier, auth::text, allowed_ips::text[],
           revoked_at IS NULL AND disabled_at IS NULL
               AND (expires_at IS NULL OR expires_at > clock_timestamp()),
           tenant
      FROM apikey.key
     WHERE prefix = $1";

/// The tenant of those who have no tenants.
const ONE_TENANT: &str = "";

thread_local! {
    static PLAN: OnceCell<OwnedPreparedStatement> = const { OnceCell::new() };
}

struct Row {
    verifier: String,
    auth: String,
    allowed_ips: Option<Vec<Option<String>>>,
    live: bool,
    tenant: String,
}

/// The answer for a valid key; NULL for any other text, whatever is wrong with it.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
fn apikey_check(key: Option<&str>, ip: Option<Inet>) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, ONE_TENANT)
}

/// The same for the keys of one tenant.
#[pg_extern(name = "apikey_check", volatile, parallel_unsafe, security_definer)]
fn check_in_tenant(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, tenant.unwrap_or(ONE_TENANT))
}

/// Whether a verifier was made from a key.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn matches(key: &str, verifier: &str) -> Result<bool, ErrorReport> {
    Key::parse(key).map_or(Ok(false), |key| is_secret_right(key, verifier))
}

fn check(text: Option<&str>, ip: Option<Inet>, tenant: &str) -> Result<Option<Json>, ErrorReport> {
    let Some(text) = text else { return Ok(None) };
    let Some(key) = Key::parse(text) else { return Ok(None) };
    let Some(row) = find(key.prefix())? else { return Ok(None) };
    if row.tenant != tenant || !is_secret_right(key, &row.verifier)? || !row.live {
        return Ok(None);
    }
    renew(text, key.prefix(), &row.verifier)?;
    let answer = row.answer(ip)?;
    serde_json::to_value(&answer).map(|json| Some(Json(json))).map_err(internal)
}

/// Slow: one run of the verifier's hash.
fn is_secret_right(key: Key<'_>, verifier: &str) -> Result<bool, ErrorReport> {
    pgrx::check_for_interrupts!();
    apikey_core::verify(key, verifier)
        .or_else(|failed| error::from_verify(failed).map_or(Ok(false), Err))
}

fn find(prefix: &str) -> Result<Option<Row>, ErrorReport> {
    Spi::connect(|client| {
        with_plan(client, |plan| {
            let rows = client.select(plan, Some(1), &[DatumWithOid::from(prefix)])?.first();
            if rows.is_empty() {
                return Ok(None);
            }
            Ok(Some(Row {
                verifier: rows.get(1)?.unwrap_or_default(),
                auth: rows.get(2)?.unwrap_or_default(),
                allowed_ips: rows.get(3)?,
                live: rows.get(4)?.unwrap_or(false),
                tenant: rows.get(5)?.unwrap_or_default(),
            }))
        })
    })
    .map_err(internal)
}

/// Runs `use_plan` with the probe's plan, which is made on the connection's first check and kept.
fn with_plan<T>(
    client: &SpiClient<'_>,
    use_plan: impl FnOnce(&OwnedPreparedStatement) -> SpiResult<T>,
) -> SpiResult<T> {
    PLAN.with(|plan| {
        if let Some(kept) = plan.get() {
            return use_plan(kept);
        }
        let made = client.prepare(PROBE, &[PgBuiltInOids::TEXTOID.oid()])?.keep();
        use_plan(plan.get_or_init(|| made))
    })
}

impl Row {
    fn answer(&self, ip: Option<Inet>) -> Result<Answer, ErrorReport> {
        let auth: Auth = self.auth.parse().map_err(internal)?;
        let rules = self
            .allowed_ips
            .as_ref()
            .map(|ips| ips.iter().flatten().map(|ip| network(ip)).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let address = ip.map(|ip| network(&ip.0)).transpose()?;
        Ok(Answer::new(auth, rules.as_deref(), address.as_ref()))
    }
}

fn network(inet: &str) -> Result<Network, ErrorReport> {
    inet.parse().map_err(internal)
}
