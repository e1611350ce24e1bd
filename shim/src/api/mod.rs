//! What clients ask, and what they are answered. A request goes through the [`router`]; what it
//! says of a key is read once ([`key_request`]), and becomes the question of a handler: `keytest`
//! or `auth`.

mod auth;
pub mod credentials;
mod identity_headers;
mod key_request;
mod keytest;
mod router;
mod scope;
pub mod state;
pub mod tenant;
