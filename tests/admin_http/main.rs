//! The admin page, asked by curl: what a browser would not do, and what it must never be told.

mod answers;
mod any_values;
mod crowd;
mod editing;
mod forged;
mod hosts;
mod languages;
mod list;
mod moved_in;
mod neighbours;
mod new_key;
mod outages;
mod recheck;
mod sessions;
mod sign_in;
mod strangers;
