//! A role and its password.

/// A role that can log in.
#[derive(Clone)]
pub struct Login {
    pub role: String,
    pub password: String,
}
