//! Load for as long as somebody has patience: `CHAOS_SECONDS=3600 make chaos`.

use crate::scene::{Scene, assert_recovered, assert_right, end_sessions};
use apikey_tests::{Seen, Shim};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a leak would make grow.
#[derive(Debug)]
struct Size {
    resident_kilobytes: u64,
    descriptors: usize,
}

impl Size {
    fn of(shim: &Shim) -> Self {
        Self { resident_kilobytes: shim.memory(), descriptors: shim.descriptors() }
    }
}

fn seconds() -> u64 {
    let seconds = std::env::var("CHAOS_SECONDS").ok().filter(|text| !text.is_empty());
    seconds.map_or(5, |text| text.parse().expect("CHAOS_SECONDS is a whole number"))
}

fn median(seen: &[Seen]) -> Duration {
    let mut times: Vec<_> = seen.iter().map(|seen| seen.took).collect();
    times.sort();
    times[times.len() / 2]
}

/// Also with the connections to Postgres ended every second, as an impatient firewall does it.
#[test]
fn memory_descriptors_and_latency_stay_flat() {
    let scene = Scene::new(&[], &[]);
    let mut client = scene.database.superuser();
    let load = scene.load();
    let third = Duration::from_secs(seconds()) / 3;
    let begin = Instant::now();
    let mut sizes = Vec::new();
    for part in 1..=3 {
        while begin.elapsed() < third * part {
            end_sessions(&mut client);
            sleep(third.min(Duration::from_secs(1)));
        }
        sizes.push(Size::of(&scene.shim));
    }
    let seen = load.stop();
    assert_right(&seen);
    assert_recovered(&seen, begin, &scene.shim);
    let (first, last) = (&sizes[0], &sizes[2]);
    assert!(last.resident_kilobytes < first.resident_kilobytes + 8 * 1024, "{sizes:?}");
    assert!(last.descriptors < first.descriptors + 16, "{sizes:?}");
    let of = |part: u32| {
        let of_part = |seen: &&Seen| {
            (third * (part - 1)..third * part).contains(&seen.at.saturating_duration_since(begin))
        };
        median(&seen.iter().filter(of_part).cloned().collect::<Vec<_>>())
    };
    // A leak in a list that is searched would show; another test on the same machine must not.
    assert!(of(3) < of(1) * 3 + Duration::from_millis(5), "{:?}, {:?}", of(1), of(3));
    println!("{} answers; {sizes:?}; medians {:?}, {:?}", seen.len(), of(1), of(3));
}
