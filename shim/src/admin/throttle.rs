//! How often signing in may fail, by address and by role, in bounded memory.
//!
//! Each address and each role may fail ten times, and gets one try back every half minute. An attempt counts
//! from its beginning, so that many at once are no way around; one that succeeds is given back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const TRIES: u32 = 10;
const ONE_BACK: Duration = Duration::from_secs(30);
/// Addresses and roles that are remembered; beyond, whoever has waited longest is forgotten.
const REMEMBERED: usize = 4096;
/// Of a role's name, in characters: Postgres has no longer ones.
const NAME: usize = 63;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    Role(String),
}

/// The moment at which all tries are there again.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Who, Instant>>);

/// What was counted.
pub struct Attempt([Who; 2]);

impl Throttle {
    /// Counts an attempt, or says how long to wait.
    pub fn attempt(&self, client: IpAddr, role: &str, now: Instant) -> Result<Attempt, Duration> {
        let both = [Who::Address(network(client)), Who::Role(role.chars().take(NAME).collect())];
        let mut known = self.known();
        let wait = both.iter().filter_map(|who| wait(known.get(who).copied(), now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for who in &both {
            let full = known.get(who).copied().unwrap_or(now).max(now) + ONE_BACK;
            known.insert(who.clone(), full);
        }
        forget(&mut known, now);
        Ok(Attempt(both))
    }

    pub fn succeeded(&self, Attempt(both): Attempt) {
        let mut known = self.known();
        for who in &both {
            if let Some(full) = known.get_mut(who) {
                *full = full.checked_sub(ONE_BACK).unwrap_or(*full);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Who, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(full: Option<Instant>, now: Instant) -> Option<Duration> {
    let missing = full?.saturating_duration_since(now);
    let most = ONE_BACK * (TRIES - 1);
    (missing > most).then(|| missing - most)
}

fn forget(known: &mut HashMap<Who, Instant>, now: Instant) {
    if known.len() <= REMEMBERED {
        return;
    }
    known.retain(|_, full| *full > now);
    while known.len() > REMEMBERED {
        let Some(soonest) = known.iter().min_by_key(|(_, full)| **full) else { return };
        let soonest = soonest.0.clone();
        known.remove(&soonest);
    }
}

/// Whoever has an IPv6 address has a whole /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_failures_and_then_one_each_half_minute() {
        for vary_role in [true, false] {
            let (throttle, now) = (Throttle::default(), Instant::now());
            let attempt = |n: u8, now| {
                let role = if vary_role { format!("role {n}") } else { "ada".to_owned() };
                let client = if vary_role { 1 } else { n };
                throttle.attempt(IpAddr::from([192, 0, 2, client]), &role, now)
            };
            for n in 0..10 {
                assert!(attempt(n, now).is_ok(), "{n}");
            }
            assert_eq!(attempt(10, now).err(), Some(ONE_BACK));
            assert!(attempt(10, now + ONE_BACK).is_ok());
            assert!(attempt(11, now + ONE_BACK).is_err());
        }
    }

    #[test]
    fn who_gets_in_is_not_held_up_and_others_are_not_concerned() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..100 {
            let attempt = throttle.attempt(address("192.0.2.1"), "ada", now).ok().unwrap();
            throttle.succeeded(attempt);
        }
        for _ in 0..10 {
            assert!(throttle.attempt(address("192.0.2.2"), "bob", now).is_ok());
        }
        assert!(throttle.attempt(address("192.0.2.1"), "ada", now).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_keeps_whoever_has_to_wait() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            let _ = throttle.attempt(address("192.0.2.1"), "ada", now);
        }
        for n in 0..10_000_u32 {
            let _ = throttle.attempt(IpAddr::from(n.to_be_bytes()), &format!("role {n}"), now);
        }
        let _ = throttle.attempt(address("192.0.2.8"), &"é".repeat(60_000), now);
        let longest = |who: &Who| matches!(who, Who::Role(role) if role.chars().count() > NAME);
        assert!(!throttle.known().keys().any(longest));
        assert!(throttle.known().len() <= REMEMBERED + 2);
        assert!(throttle.attempt(address("192.0.2.9"), "ada", now).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(network(address("2001:db8:1:2:3::4")), address("2001:db8:1:2::"));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
