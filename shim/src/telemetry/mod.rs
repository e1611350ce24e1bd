//! What an operator sees: the log, and the metrics.

pub mod database_errors;
mod extension_metrics;
pub mod log;
mod log_target;
pub mod metrics;
pub mod metrics_server;
pub mod request_log;
