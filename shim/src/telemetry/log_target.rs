//! The targets of log lines, beside those of the crates below, by which a filter tells parts apart.

pub const PROGRAM: &str = "apikey_shim";
pub const METRICS: &str = "apikey_shim::metrics";
/// The lines of requests, which cost as much as a good part of a check, and are asked for.
pub const REQUEST: &str = "apikey_shim::request";
