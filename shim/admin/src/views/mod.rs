//! What the pages look like, each in a file of its own; all texts come from `lang`.

pub mod actions;
pub mod add;
pub mod audit;
pub mod edit;
mod fields;
pub mod key;
mod layout;
pub mod list;
pub mod new_key;
pub mod problem;
pub mod sign_in;
pub mod test;
