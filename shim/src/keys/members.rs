//! What of the extension our role may call. The extension says itself which functions are its own,
//! and each is called by its full name: no other function answers for it, whatever its name is and
//! wherever it stands.

use apikey_postgres::safe_query;
use tokio_postgres::{Client, Error, SimpleQueryRow};

use super::query::{Asked, Pace, Question, Statement};

/// One row for each of them, and one without a name if there is none. In `guard` it says how to
/// see, by the time of a call, that the name still leads to the function that was found.
pub const FIND: &str = "
SELECT f.proname, f.pronargs, f.call, f.guard
  FROM pg_extension AS e
  LEFT JOIN LATERAL (
           SELECT p.proname, p.pronargs, format('%I.%I', n.nspname, p.proname) AS call,
                  format('pg_catalog.to_regprocedure(%L) OPERATOR(pg_catalog.=) %s::pg_catalog.oid',
                         format('%I.%I(%s)', n.nspname, p.proname, string_agg(format('pg_catalog.%I', t.typname), ',' ORDER BY a.place)),
                         p.oid) AS guard
             FROM pg_depend AS d
             JOIN pg_proc AS p ON p.oid = d.objid
             JOIN pg_namespace AS n ON n.oid = p.pronamespace
             CROSS JOIN unnest(p.proargtypes) WITH ORDINALITY AS a (type, place)
             JOIN pg_type AS t ON t.oid = a.type
            WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
              AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
              AND p.proname IN ('check_key', 'check_key_at_once', 'authorize_key', 'authorize_key_at_once', 'apikey_check', 'apikey_authorize')
              AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')
            GROUP BY p.oid, n.oid) AS f ON true
 WHERE e.extname = 'apikey'";

/// The ways to ask, the best first: in the schema apikey, nobody but the extension's owner can
/// create a function that makes a call ambiguous. The others are for a role that may execute no
/// more than these, and for version 0.3.0.
const CHECKS: [(&str, &str); 2] = [("check_key", "3"), ("apikey_check", "3")];
const CHECK_AT_ONCE: (&str, &str) = ("check_key_at_once", "3");
const CHECK_WITHOUT_TENANT: (&str, &str) = ("apikey_check", "2");
const DECISIONS: [(&str, &str); 2] = [("authorize_key", "4"), ("apikey_authorize", "4")];
const DECISION_AT_ONCE: (&str, &str) = ("authorize_key_at_once", "4");

/// The statements that can be asked on a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    has_extension: bool,
    check: Option<Statement>,
    check_without_tenant: Option<Statement>,
    authorize: Option<Statement>,
    /// These answer what takes no slow hash. Where they lack, the others answer everything.
    check_at_once: Option<Statement>,
    authorize_at_once: Option<Statement>,
}

/// Why a question cannot be asked. Each is a sentence for whoever runs the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    Extension,
    RightToCheck,
    RightToAuthorize,
    /// What was found just now is not there any more.
    Changing,
}

impl Lack {
    /// It has no character that JSON escapes.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Extension => {
                "The database has no extension apikey: run CREATE EXTENSION apikey there, and then deploy/roles.sql."
            }
            Self::RightToCheck => {
                "The shim's role may not check keys: run deploy/roles.sql in the database, and GRANT apikey_checker to the role if it is none of that script's."
            }
            Self::RightToAuthorize => {
                "The shim's role may not execute apikey.authorize_key: run deploy/roles.sql in the database, and GRANT apikey_checker to the role if it is none of that script's."
            }
            Self::Changing => "The extension's functions are being replaced.",
        }
    }
}

impl Members {
    pub async fn find(client: &Client) -> Result<Self, Error> {
        Ok(Self::of(&safe_query::rows(client, FIND).await?))
    }

    /// Reads rows of `FIND`.
    pub fn of(rows: &[SimpleQueryRow]) -> Self {
        let value =
            |row: &SimpleQueryRow, name| row.try_get(name).ok().flatten().map(str::to_owned);
        let found: Vec<_> = rows
            .iter()
            .filter_map(|row| {
                let (name, arguments) = (value(row, "proname")?, value(row, "pronargs")?);
                Some((name, arguments, value(row, "call")?, value(row, "guard")?))
            })
            .collect();
        let find = |wanted: (&str, &str), make: fn(&str, &str) -> Statement| {
            let mut found = found.iter();
            let found = found.find(|(name, arguments, ..)| (&**name, &**arguments) == wanted);
            found.map(|(.., call, guard)| make(call, guard))
        };
        Self {
            has_extension: !rows.is_empty(),
            check: CHECKS.into_iter().find_map(|wanted| find(wanted, Statement::check)),
            check_without_tenant: find(CHECK_WITHOUT_TENANT, Statement::check_without_tenant),
            authorize: DECISIONS.into_iter().find_map(|wanted| find(wanted, Statement::authorize)),
            check_at_once: find(CHECK_AT_ONCE, Statement::check),
            authorize_at_once: find(DECISION_AT_ONCE, Statement::authorize),
        }
    }

    /// The statement for questions that are all of one kind.
    pub fn statement(&self, questions: &[&Question], pace: Pace) -> Result<&Statement, Lack> {
        let are_checks = questions.iter().all(|question| matches!(question.asked, Asked::Check));
        let (found, at_once, lack) = match are_checks {
            true => {
                let no_tenant = questions.iter().all(|question| question.tenant.is_empty());
                let without = self.check_without_tenant.as_ref().filter(|_| no_tenant);
                (self.check.as_ref().or(without), &self.check_at_once, Lack::RightToCheck)
            }
            false => (self.authorize.as_ref(), &self.authorize_at_once, Lack::RightToAuthorize),
        };
        // Where nothing could be asked after it, it is not asked either.
        let found = match pace {
            Pace::AtOnce => found.map(|patient| at_once.as_ref().unwrap_or(patient)),
            Pace::Patient => found,
        };
        found.ok_or(if self.has_extension { lack } else { Lack::Extension })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(tenant: &str, asked: Asked) -> Question {
        Question { key: String::new(), client: None, tenant: tenant.to_owned(), asked }
    }

    #[test]
    fn a_tenant_is_never_left_out() {
        let members = Members {
            has_extension: true,
            check_without_tenant: Some(Statement::check_without_tenant("f", "true")),
            ..Members::default()
        };
        let (none, some) = (question("", Asked::Check), question("venue", Asked::Check));
        assert!(members.statement(&[&none], Pace::AtOnce).is_ok());
        assert_eq!(members.statement(&[&none, &some], Pace::AtOnce), Err(Lack::RightToCheck));
    }

    #[test]
    fn what_takes_no_hash_is_asked_for_where_it_can_be() {
        let statement = |name| Some(Statement::authorize(name, "true"));
        let asked = question("", Asked::Authorize { scope: None });
        let mut members = Members {
            has_extension: true,
            authorize_at_once: statement("quick"),
            ..Members::default()
        };
        assert!(members.statement(&[&asked], Pace::AtOnce).is_err(), "what would be asked next?");
        members.authorize = statement("slow");
        let of = |members: &Members, pace| {
            members.statement(&[&asked], pace).map(|found| found.text.contains("quick"))
        };
        assert_eq!(
            [Pace::AtOnce, Pace::Patient].map(|pace| of(&members, pace)),
            [Ok(true), Ok(false)]
        );
        members.authorize_at_once = None;
        assert_eq!(of(&members, Pace::AtOnce), Ok(false));
    }

    #[test]
    fn what_is_lacking() {
        let asked = question("", Asked::Authorize { scope: None });
        assert_eq!(Members::default().statement(&[&asked], Pace::AtOnce), Err(Lack::Extension));
        let members = Members { has_extension: true, ..Members::default() };
        assert_eq!(members.statement(&[&asked], Pace::AtOnce), Err(Lack::RightToAuthorize));
        for lack in [Lack::Extension, Lack::RightToCheck, Lack::RightToAuthorize, Lack::Changing] {
            let sentence = lack.sentence();
            assert_eq!(serde_json::to_string(sentence).unwrap(), format!("\"{sentence}\""));
        }
    }
}
