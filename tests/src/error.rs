//! An error as a client sees it.

use postgres::error::DbError;

/// All that Postgres says to a client about a refused statement.
pub struct Refusal(DbError);

/// The refusal of a statement that must fail.
pub fn refused<T>(result: Result<T, postgres::Error>) -> Refusal {
    let Err(error) = result else { panic!("the statement was not refused") };
    Refusal(error.as_db_error().unwrap_or_else(|| panic!("no error of Postgres: {error}")).clone())
}

impl Refusal {
    pub fn sqlstate(&self) -> &str {
        self.0.code().code()
    }

    pub fn message(&self) -> &str {
        self.0.message()
    }

    pub fn hint(&self) -> &str {
        self.0.hint().unwrap_or_default()
    }

    pub fn detail(&self) -> &str {
        self.0.detail().unwrap_or_default()
    }

    pub fn constraint(&self) -> &str {
        self.0.constraint().unwrap_or_default()
    }

    /// Every field of it, to look for what must not be there.
    pub fn whole(&self) -> String {
        format!("{:?}", self.0)
    }
}
