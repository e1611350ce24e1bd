//! Very many clients who want nothing, or take very long to say what: `CHAOS_CROWD` of each kind
//! (1000; 10,000 by `make chaos`).

use crate::scene::{SLACK, Scene, assert_right, p99};
use apikey_tests::eventually;
use rlimit::Resource;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// What a slow client sends, a byte a second, and never to the end.
const HEAD: &[u8] = b"GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nX-Slow: and so on and so on";

/// Between two bytes of one client.
const PAUSE: Duration = Duration::from_secs(1);

/// Strangers do not speak in chorus: there are so many turns in a pause. An odd number, so that
/// there are slow ones and silent ones in each.
const TURNS: usize = 5001;

/// Nor do they all come at once, and so are not all sent away at once: this is --header-timeout.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Each is silent, or slow; whoever was sent away comes again with its next byte.
struct Crowd {
    is_over: Arc<AtomicBool>,
    present: Arc<AtomicUsize>,
    going_round: JoinHandle<()>,
}

struct Member {
    stream: Option<TcpStream>,
    is_slow: bool,
    said: usize,
}

impl Crowd {
    fn gather(shim: SocketAddr, of_each: usize) -> Self {
        let (is_over, present) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (over, there) = (is_over.clone(), present.clone());
        let going_round = spawn(move || {
            let mut members: Vec<_> = (0..2 * of_each)
                .map(|number| Member { stream: None, is_slow: number % 2 == 0, said: 0 })
                .collect();
            let begin = Instant::now();
            let mut due = begin;
            for turn in (0..TURNS).cycle().take_while(|_| !over.load(Relaxed)) {
                due = Instant::now().max(due + PAUSE / TURNS as u32);
                let share = begin.elapsed().as_secs_f64() / ARRIVAL.as_secs_f64();
                let come = (share * members.len() as f64) as usize;
                for member in members.iter_mut().take(come).skip(turn).step_by(TURNS) {
                    let was_there = member.stream.is_some();
                    member.go_on(shim);
                    match (was_there, member.stream.is_some()) {
                        (false, true) => there.fetch_add(1, Relaxed),
                        (true, false) => there.fetch_sub(1, Relaxed),
                        _ => continue,
                    };
                }
                sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        Self { is_over, present, going_round }
    }

    fn present(&self) -> usize {
        self.present.load(Relaxed)
    }

    fn leave(self) {
        self.is_over.store(true, Relaxed);
        self.going_round.join().unwrap();
    }
}

impl Member {
    fn go_on(&mut self, shim: SocketAddr) {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let Ok(stream) = TcpStream::connect(shim) else { return };
                stream.set_nonblocking(true).unwrap();
                self.said = 0;
                stream
            }
        };
        if self.is_slow {
            let _ = stream.write(&HEAD[self.said % HEAD.len()..][..1]);
            self.said += 1;
        }
        let is_open = matches!(stream.read(&mut [0; 512]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.stream = is_open.then_some(stream);
    }
}

/// A descriptor for each end: root may have as many as it takes; others as many as they may.
fn crowd_size() -> usize {
    let wanted = std::env::var("CHAOS_CROWD").ok().filter(|text| !text.is_empty());
    let wanted = wanted.map_or(1000, |text| text.parse().expect("CHAOS_CROWD is a number"));
    let needed = 2 * wanted + 1000;
    if rlimit::setrlimit(Resource::NOFILE, needed, needed.max(65_536)).is_ok() {
        return wanted as usize;
    }
    let allowed = rlimit::increase_nofile_limit(needed).unwrap();
    wanted.min((allowed - 1000) / 2) as usize
}

#[test]
fn slow_and_idle_clients_keep_nobody_waiting() {
    let of_each = crowd_size();
    let places = (2 * of_each + 100).to_string();
    let scene = Scene::new(&[], &["--max-connections", &places]);
    let load = scene.load();
    let alone = Instant::now();
    sleep(Duration::from_secs(4));
    let gathering = Instant::now();
    let crowd = Crowd::gather(scene.shim.address, of_each);
    // At any moment some slow ones have just been sent away.
    eventually("the crowd is there", || crowd.present() > 2 * of_each * 9 / 10);
    let among_them = Instant::now();
    sleep(Duration::from_secs(12)); // longer than --header-timeout
    let end = Instant::now();
    assert!(crowd.present() > of_each, "{} of {of_each} of each kind are left", crowd.present());
    let seen = load.stop();
    crowd.leave();
    assert_right(&seen);
    assert!(seen.iter().all(|seen| seen.status != Some(503)), "somebody was turned away");
    let (before, with) = (p99(&seen, alone..gathering), p99(&seen, among_them..end));
    println!("{of_each} slow and {of_each} idle clients: p99 {with:?}, without them {before:?}");
    // Twice as long at most, and what a machine that is busy with the crowd itself may add.
    assert!(with < before * 2 + SLACK, "p99 {with:?}, without the crowd {before:?}");
}
