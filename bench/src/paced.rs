//! Requests at a given rate. wrk keeps to none; of the generators in Debian, h2load sends in
//! bursts, one each 10 ms, and hey gives times to 100 µs, which are as long as an answer takes
//! here.

use crate::wrk::CONNECTIONS;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// How long requests took, in microseconds.
pub struct Latency {
    pub per_second: f64,
    pub p50: f64,
    pub p90: f64,
    pub p98: f64,
    pub p99: f64,
}

/// Sends the same request over and over, on connections that stay open. Each answer has to be a 200
/// in one line of JSON.
pub fn paced(address: &str, request: &str, per_second: f64, seconds: u32) -> Latency {
    let gap = CONNECTIONS as f64 / per_second;
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut times: Vec<f64> = scope(|scope| {
        let start = |number| scope.spawn(move || connection(address, request, gap, number, end));
        let connections: Vec<_> = (0..CONNECTIONS).map(start).collect();
        connections.into_iter().flat_map(|connection| connection.join().unwrap()).collect()
    });
    times.sort_by(f64::total_cmp);
    let percentile = |share: f64| times[(share * (times.len() - 1) as f64) as usize] * 1e6;
    Latency {
        per_second: times.len() as f64 / f64::from(seconds),
        p50: percentile(0.5),
        p90: percentile(0.9),
        p98: percentile(0.98),
        p99: percentile(0.99),
    }
}

/// One connection until `end`, with `gap` seconds between its requests on average.
fn connection(address: &str, request: &str, gap: f64, number: usize, end: Instant) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut random = Random((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut times = Vec::new();
    let mut free = Instant::now();
    let mut due = free + Duration::from_secs_f64(gap * random.next());
    while due < end {
        sleep(due.saturating_duration_since(Instant::now()));
        // A request that had to wait for the answer before it counts from when it was due. That
        // this thread woke up late is not the server's fault.
        let began = if free > due { due } else { Instant::now() };
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(&mut stream);
        free = Instant::now();
        times.push((free - began).as_secs_f64());
        // Clients do not keep step with one another.
        due += Duration::from_secs_f64(gap * (0.5 + random.next()));
    }
    times
}

fn read_answer(stream: &mut TcpStream) {
    let (mut buffer, mut length) = ([0; 4096], 0);
    while length == 0 || buffer[length - 1] != b'}' {
        let read = stream.read(&mut buffer[length..]).unwrap();
        assert!(read > 0, "the answer ends early");
        length += read;
    }
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        for shift in [13, -7, 17_i32] {
            let shifted = if shift > 0 { self.0 << shift } else { self.0 >> -shift };
            self.0 ^= shifted;
        }
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_spread_evenly() {
        let mut random = Random(1);
        let numbers: Vec<f64> = (0..10_000).map(|_| random.next()).collect();
        for tenth in 0..10 {
            let count = numbers.iter().filter(|number| (*number * 10.0) as i32 == tenth).count();
            assert!((900..1100).contains(&count), "{count} of 10000 in tenth {tenth}");
        }
    }
}
