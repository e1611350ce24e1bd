//! The configurations of deploy/ in real proxies, between curl and a service.

mod apache;
mod caddy;
mod envoy;
mod front;
mod haproxy;
mod nginx;
mod readers;
mod spellings;
mod traefik;
