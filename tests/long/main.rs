//! What takes long or needs more than one server: for the full run alone.

mod pg_upgrade;
mod random_sql;
