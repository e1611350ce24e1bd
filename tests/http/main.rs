//! The shim, over HTTP, with clients that others wrote.

/// Which key is asked about, from where, and what is answered.
mod keys {
    mod addresses;
    mod auth;
    mod cors;
    mod forms;
    mod refusals;
    mod tenants;
}

/// Connections, and what comes on them.
mod protocol {
    mod garbage;
    mod hosts;
    pub mod http2;
    mod idle;
    mod limits;
    mod odd_requests;
    mod proxy_protocol;
    mod server_tls;
    mod sockets;
}

/// The way to Postgres, and when there is none.
mod database {
    mod auth_trips;
    mod neighbours;
    mod outages;
    mod overload;
    mod slow_hashes;
    mod tls;
    pub mod trips;
}

/// What is logged and counted.
mod telemetry {
    mod logs;
    mod metrics;
    mod prometheus;
    mod request_log;
}

/// Programs of others.
mod clients {
    mod django;
    mod examples;
    mod openapi;
}

/// From start to end.
mod running {
    pub mod asking;
    mod lifecycle;
    mod restarts;
    mod settings;
}
