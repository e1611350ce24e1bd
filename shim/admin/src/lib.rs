//! The admin page: keys managed in a browser by people who do not write SQL.
//!
//! The shim serves it where `--admin-listen ADDRESS:PORT` is given. One signs in with a Postgres
//! role and its password. Whatever a page shows or does is SQL on a connection of that role, so
//! that grants, policies and the audit trail are the database's own.
//!
//! | address | what it does |
//! | --- | --- |
//! | `GET /` | 303 to `/keys` |
//! | `GET`, `POST /sign-in` | fields `role`, `password`, `back`; `POST /sign-out` |
//! | `GET /keys` | `q`, `status`, `owner`, `tenant`, `scope`, `sort` (`name`, `-name` …), `page` |
//! | `GET`, `POST /keys/new` | the fields of `key_form`, and `once` |
//! | `GET`, `POST /keys/PREFIX` | one key: look, edit (with `version`), and tick `create_revoke` |
//! | `POST /keys/PREFIX/rotate` | `grace` (seconds), `once` |
//! | `POST /keys/PREFIX/disable`, `…/enable`, `…/revoke` | `reason` |
//! | `GET /keys/PREFIX/events`, `GET /events` | the audit trail: `page` |
//! | `GET`, `POST /test` | `key`, `ip`, `tenant` |
//! | `POST /language` | `lang` (`fr`, `en`), `back` |
//! | `GET /assets/style.css`, `/assets/copy.js`, `/assets/again.js`, `/assets/addresses.js` | |
//!
//! Every form has a hidden `csrf`. A new key is in the one answer to the `POST` that made it, in
//! `<output id="new-key">`; sent again, that form (by its `once`) makes no other key.
//!
//! A request walks one way: `server` has its connection, and `request` reads what it says. `routes`
//! finds its session, the role's connection (`login`) and `permissions`, and calls one of the
//! `handlers`. That one asks the database (`db`) and shows one of the `views`, which know neither
//! handlers nor queries.

#![forbid(unsafe_code)]

mod auth;
mod context;
mod cookies;
mod db;
mod error;
mod form;
mod handlers;
mod hosts;
mod key_form;
mod lang;
mod link;
mod login;
mod permissions;
mod request;
mod response;
mod routes;
mod server;
mod session;
mod state;
mod throttle;
mod token;
mod views;

pub use hosts::Hosts;
pub use login::Login;
pub use server::{Running, start};
pub use session::table::Lifetimes;
pub use state::{Settings, connections};

/// The target of this crate's log lines. It belongs to the program's family of names.
pub mod log_target {
    pub const ADMIN: &str = "apikey_shim::admin";
}
