//! What the pages look like, each in a file of its own; all texts come from `lang`.

mod fields;
mod layout;

pub mod actions;
pub mod add;
pub mod audit;
pub mod edit;
pub mod key;
pub mod list;
pub mod new_key;
pub mod problem;
pub mod sign_in;
pub mod test;

pub use layout::respond;
