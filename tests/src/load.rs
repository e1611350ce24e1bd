//! Clients that ask the shim without a pause worth mentioning, on connections that they keep, and
//! note what they were told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// A key, and whether it is good.
#[derive(Clone)]
pub struct Asked {
    pub key: String,
    pub is_good: bool,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub is_good: bool,
    pub at: Instant,
    pub took: Duration,
    /// `None` if there was no connection, or no answer on it.
    pub status: Option<u16>,
}

pub struct Load {
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Seen>>>,
}

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(2);

impl Load {
    /// So many clients, each of which asks about all the keys in turn.
    pub fn start(shim: SocketAddr, clients: usize, keys: &[Asked]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = (0..clients).map(|_| {
            let (is_over, keys) = (is_over.clone(), keys.to_vec());
            thread::spawn(move || ask_on(shim, &keys, &is_over))
        });
        Self { clients: clients.collect(), is_over }
    }

    /// What all clients have seen, in the order of time.
    pub fn stop(mut self) -> Vec<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        let clients = self.clients.drain(..);
        let mut seen: Vec<_> = clients.flat_map(|client| client.join().unwrap()).collect();
        seen.sort_by_key(|seen| seen.at);
        seen
    }
}

/// Also when an assertion fails.
impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn ask_on(shim: SocketAddr, keys: &[Asked], is_over: &AtomicBool) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut connection = None;
    for Asked { key, is_good } in keys.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let at = Instant::now();
        let status = ask(shim, &mut connection, key);
        seen.push(Seen { is_good: *is_good, at, took: at.elapsed(), status });
        sleep(PAUSE);
    }
    seen
}

fn ask(shim: SocketAddr, connection: &mut Option<BufReader<TcpStream>>, key: &str) -> Option<u16> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => BufReader::new(connect(shim)?),
    };
    let request = format!(
        "GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nAuthorization: Api-Key {key}\r\n\r\n"
    );
    stream.get_mut().write_all(request.as_bytes()).ok()?;
    let (status, is_kept) = answer(&mut stream)?;
    *connection = is_kept.then_some(stream);
    Some(status)
}

fn connect(shim: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&shim, Duration::from_secs(5)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    Some(stream)
}

/// Its status, and whether the connection may be used again.
fn answer(stream: &mut BufReader<TcpStream>) -> Option<(u16, bool)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut is_kept) = (0, true);
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "connection" => is_kept = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some((status, is_kept))
}
