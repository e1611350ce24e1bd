//! One look at the row of a key, past SQL: where the table is, its index, and the row that it leads
//! to.

pub mod catalog;
mod index_scan;
pub mod row;
mod snapshot;
