//! The shim, over HTTP, with clients that others wrote.

mod addresses;
mod asking;
mod auth;
mod auth_trips;
mod cors;
mod django;
mod examples;
mod forms;
mod garbage;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod openapi;
mod outages;
mod overload;
mod prometheus;
mod refusals;
mod request_log;
mod restarts;
mod settings;
mod sockets;
mod tenants;
mod tls;
mod trips;
