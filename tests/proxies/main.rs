//! The configurations of deploy/ in real proxies, between curl and a service.

mod front;
mod nginx;
