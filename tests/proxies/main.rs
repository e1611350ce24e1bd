//! The configurations of deploy/ in real proxies, between curl and a service. Each test is of one
//! behaviour, with all proxies; `PROXY=nginx` takes that one alone.

mod bodies;
mod browsers;
mod forged;
mod front;
mod http2;
mod keys;
mod outages;
mod proxies;
mod readers;
mod spellings;
