//! What a request does, each page's in a file of its own: it reads the request, asks the database,
//! and shows a view.

pub mod actions;
pub mod add;
pub mod audit;
pub mod edit;
pub mod key;
pub mod list;
mod lookup;
pub mod sign_in;
pub mod test;
