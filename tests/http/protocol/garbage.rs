//! Very many requests that are no good ones: the shim neither panics nor grows, and whatever it
//! answers is legal HTTP.
//!
//! `GARBAGE_REQUESTS` says how many (100,000), `GARBAGE_SEED` which; a failure prints the seed and
//! the bytes.

mod answers;
mod requests;

use apikey_tests::{Database, Samples, Shim, eventually, wrong_secret};
use fastrand::Rng;
use std::io::{Read, Write};
use std::net::Shutdown;

/// The database is well: no 503.
const EXPECTED: [u16; 9] = [200, 204, 400, 401, 403, 404, 405, 414, 431];

const CLIENTS: u64 = 4;

/// In kB. A million requests were seen to add 16 to 68; a leak of 30 bytes for each of 80,000 is
/// more than this.
const GROWTH: u64 = 2 * 1024;

/// Connections to Postgres, by default.
const POOL: usize = 10;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Sends so many requests from each of some clients; how many answers came.
fn send(shim: &Shim, key: &str, seed: u64, requests: u64) -> u64 {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut random = Rng::with_seed(seed.wrapping_mul(CLIENTS).wrapping_add(client));
                scope.spawn(move || {
                    let (mut sent, mut answered) = (0, 0);
                    while sent < requests / CLIENTS {
                        let count = random.u64(1..=20);
                        let bytes = requests::some(&mut random, key, count);
                        sent += count;
                        answered += answers(shim, &bytes)
                            .unwrap_or_else(|wrong| panic!("{wrong}: {}", bytes.escape_ascii()));
                    }
                    answered
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

/// What one connection gets for these bytes. The shim may close it at any time.
fn answers(shim: &Shim, bytes: &[u8]) -> Result<u64, String> {
    let mut stream = shim.connect();
    if stream.write_all(bytes).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err("it neither answers nor closes".to_owned())
        }
        _ => answers::count(&received, &EXPECTED),
    }
}

#[test]
fn garbage_gets_legal_answers_and_leaves_nothing_behind() {
    let seed = setting("GARBAGE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let requests = setting("GARBAGE_REQUESTS").unwrap_or(100_000);
    println!("GARBAGE_SEED={seed} GARBAGE_REQUESTS={requests}");
    let mut database = Database::new();
    let key = database.key("'event'");
    let wrong = wrong_secret(&key);
    let flags = [
        &["--metrics-listen", "127.0.0.1:0", "--log", "info", "--pool-wait", "30s"][..],
        &["--request-timeout", "30s", "--trusted-proxy", "127.0.0.1"],
        &["--cors-origin", "https://shop.example"],
    ];
    let shim = Shim::start_for_auth(&mut database, &flags.concat());
    assert_eq!(shim.ask(&key).status(), 200);

    let mut answered = 1 + send(&shim, &wrong, seed.wrapping_add(1), requests / 5);
    let (memory, descriptors) = (shim.memory(), shim.descriptors());
    answered += send(&shim, &wrong, seed, requests - requests / 5);
    // Besides those to Postgres, which come and go.
    eventually("all connections are closed", || shim.descriptors() <= descriptors + POOL);
    let grown = shim.memory().saturating_sub(memory);
    println!("{answered} answers; {memory} kB, and {grown} kB more in the end");
    assert!(grown < GROWTH, "from {memory} kB it grew by {grown} kB");

    assert!(answered > requests / 5, "only {answered} answers: the garbage is too coarse");
    let samples = Samples::of(&shim);
    let counted =
        samples.0.iter().filter(|(name, _)| name.starts_with("apikey_http_requests_total"));
    assert!(counted.map(|(_, count)| count).sum::<f64>() >= answered as f64);
    assert!(samples.0.len() < 300, "{:#?}", samples.0);
    let log = shim.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains(&wrong[9..]), "{log}");
    assert_eq!(shim.ask(&key).status(), 200);
}
