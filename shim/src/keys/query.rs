//! What Postgres is asked about keys: the functions, each called once a row by one statement for
//! many keys. Which functions there are is in `members`.

use std::net::IpAddr;

use apikey_format::Key;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

/// About a key: where it came from, and the tenant whose key it has to be. Without `Debug`: a key
/// is a secret.
pub struct Question {
    pub key: String,
    pub client: Option<IpAddr>,
    /// Keys of others are not valid. Empty for none: then only keys that have none are valid.
    pub tenant: String,
    pub asked: Asked,
}

/// What is asked. Each has a statement of its own, since a role may have the right to one function
/// alone.
pub enum Asked {
    /// What `apikey_check` says: one column.
    Check,
    /// What `apikey_authorize` says: the columns of `apikey_decision`.
    Authorize { scope: Option<String> },
}

/// Whether an answer may take a slow hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It may not: the answer may be that it would.
    AtOnce,
    Patient,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    pub types: &'static [Type],
}

const TYPES: [Type; 4] = [Type::TEXT_ARRAY, Type::INET_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];

// Each row is one call, whatever becomes of the others, and the rows come in the order of the
// questions; there are none if the guard is false. Every name has its schema: through a pooler, the
// session's path is anybody's.
impl Statement {
    pub fn check(call: &str, guard: &str) -> Self {
        let text = format!(
            "SELECT {call}(q.key, q.ip, q.tenant)::pg_catalog.text \
             FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) \
                  WITH ORDINALITY AS q (key, ip, tenant, place) \
             WHERE {guard} ORDER BY q.place"
        );
        Self { text, types: &TYPES[..3] }
    }

    /// Checks keys of no tenant, by a function that takes none.
    pub fn check_without_tenant(call: &str, guard: &str) -> Self {
        let text = format!(
            "SELECT {call}(q.key, q.ip)::pg_catalog.text \
             FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS q (key, ip, place) \
             WHERE {guard} ORDER BY q.place"
        );
        Self { text, types: &TYPES[..2] }
    }

    /// In FROM, so that one call gives all columns of its row.
    pub fn authorize(call: &str, guard: &str) -> Self {
        let text = format!(
            "SELECT d.allowed, d.reason, d.prefix, d.name, d.owner, d.auth::pg_catalog.text AS auth, d.tenant \
             FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) \
                  WITH ORDINALITY AS q (key, ip, tenant, scope, place), \
                  LATERAL {call}(q.key, q.ip, q.scope, q.tenant) AS d \
             WHERE {guard} ORDER BY q.place"
        );
        Self { text, types: &TYPES }
    }
}

/// The questions of one statement, a column for each parameter.
pub struct Parameters<'a> {
    keys: Vec<&'a str>,
    clients: Vec<Option<IpAddr>>,
    tenants: Vec<&'a str>,
    scopes: Vec<Option<&'a str>>,
}

impl<'a> Parameters<'a> {
    pub fn of(questions: &[&'a Question]) -> Self {
        Self {
            keys: questions.iter().map(|question| question.key.as_str()).collect(),
            clients: questions.iter().map(|question| question.client).collect(),
            tenants: questions.iter().map(|question| question.tenant.as_str()).collect(),
            scopes: questions.iter().map(|question| question.asked.scope()).collect(),
        }
    }

    /// In the order of the types. A statement takes as many as it has types.
    pub fn all(&self) -> [&(dyn ToSql + Sync); TYPES.len()] {
        [&self.keys, &self.clients, &self.tenants, &self.scopes]
    }
}

/// The public half of a key; empty for text that is none.
pub fn prefix_of(key: &str) -> &str {
    Key::parse(key).map_or("", Key::prefix)
}

impl Question {
    /// Whether the row says that only a slow hash can tell, and nothing else.
    pub fn needs_hash(&self, row: &Row) -> Result<bool, Error> {
        let said = self.said(row)?;
        Ok(match self.asked {
            Asked::Check => said == Some(r#"{"needs_hash":true}"#),
            Asked::Authorize { .. } => said == Some("needs_hash"),
        })
    }

    /// Whether the row says that the key is not valid.
    pub fn is_refused(&self, row: &Row) -> Result<bool, Error> {
        let said = self.said(row)?;
        Ok(match self.asked {
            Asked::Check => said.is_none(),
            Asked::Authorize { .. } => said == Some("invalid_key"),
        })
    }

    fn said<'r>(&self, row: &'r Row) -> Result<Option<&'r str>, Error> {
        match self.asked {
            Asked::Check => row.try_get(0),
            Asked::Authorize { .. } => row.try_get("reason"),
        }
    }
}

impl Asked {
    fn scope(&self) -> Option<&str> {
        match self {
            Self::Check => None,
            Self::Authorize { scope } => scope.as_deref(),
        }
    }
}
