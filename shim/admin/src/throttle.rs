//! How often signing in may fail, in bounded memory: for a role from an address, for a role from
//! anywhere, and from an address for any role. An attempt counts from its beginning, so that many
//! at once are no way around; one that succeeds is given back.
//!
//! The first has the fewest tries, and gets one back more slowly than the other two. So guesses at
//! one role from one address use up neither of these: others sign in from there, and the role's
//! owner from elsewhere. The other two are for who guesses from many addresses, or at many roles.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Pairs, addresses and roles that are remembered; beyond, whoever has waited longest is forgotten.
const REMEMBERED: usize = 4096;
/// The longest name of a role, in characters: Postgres has no longer ones.
const NAME: usize = 63;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    RoleAt(String, IpAddr),
    Role(String),
    Address(IpAddr),
}

impl Who {
    /// How many failures are allowed, and after how long one more is.
    fn allowance(&self) -> (u32, Duration) {
        match self {
            Self::RoleAt(..) => (10, Duration::from_secs(30)),
            Self::Role(_) | Self::Address(_) => (50, Duration::from_secs(15)),
        }
    }

    /// How long to wait, where all tries are there again at `full`.
    fn wait(&self, full: Option<&Instant>, now: Instant) -> Option<Duration> {
        let (tries, one_back) = self.allowance();
        let missing = full?.saturating_duration_since(now);
        let most = one_back * (tries - 1);
        (missing > most).then(|| missing - most)
    }
}

/// The moment at which all tries are there again.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Who, Instant>>);

/// What was counted.
pub struct Attempt([Who; 3]);

impl Throttle {
    /// Counts an attempt, or says how long to wait.
    pub fn attempt(&self, client: IpAddr, role: &str, now: Instant) -> Result<Attempt, Duration> {
        let (role, client) = (role.chars().take(NAME).collect::<String>(), network(client));
        let all = [Who::RoleAt(role.clone(), client), Who::Role(role), Who::Address(client)];
        let mut known = self.0.lock();
        let wait = all.iter().filter_map(|who| who.wait(known.get(who), now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for who in &all {
            let full = known.entry(who.clone()).or_insert(now);
            *full = (*full).max(now) + who.allowance().1;
        }
        forget(&mut known, now);
        Ok(Attempt(all))
    }

    pub fn succeeded(&self, Attempt(all): Attempt) {
        let mut known = self.0.lock();
        for who in &all {
            if let Some(full) = known.get_mut(who) {
                *full = full.checked_sub(who.allowance().1).unwrap_or(*full);
            }
        }
    }
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
    use super::*;

    const HALF_MINUTE: Duration = Duration::from_secs(30);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The n-th of many.
    fn nth(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn a_role_at_an_address_has_ten_tries_and_then_one_each_half_minute() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let attempt = |now| throttle.attempt(nth(1), "ada", now);
        for n in 0..10 {
            assert!(attempt(now).is_ok(), "{n}");
        }
        assert_eq!(attempt(now).err(), Some(HALF_MINUTE));
        assert!(attempt(now + HALF_MINUTE).is_ok());
        assert!(attempt(now + HALF_MINUTE).is_err());
    }

    /// The guesses go on for a day, as often as they are let.
    #[test]
    fn guesses_at_one_role_hold_up_nobody_else_at_the_address_and_nobody_elsewhere() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for second in 0..86_400 {
            let now = start + Duration::from_secs(second);
            while throttle.attempt(nth(1), "ada", now).is_ok() {}
            if second % 3600 == 0 {
                let others =
                    [throttle.attempt(nth(1), "bob", now), throttle.attempt(nth(2), "ada", now)];
                others.into_iter().for_each(|attempt| throttle.succeeded(attempt.ok().unwrap()));
            }
        }
    }

    #[test]
    fn who_guesses_from_many_addresses_or_at_many_roles_has_fifty_tries() {
        for vary_role in [true, false] {
            let (throttle, now) = (Throttle::default(), Instant::now());
            let attempt = |n: u32, now| {
                let role = if vary_role { format!("role {n}") } else { "ada".to_owned() };
                throttle.attempt(nth(if vary_role { 1 } else { n }), &role, now)
            };
            assert_eq!((0..100).filter(|n| attempt(*n, now).is_ok()).count(), 50);
            let hour = now + Duration::from_secs(3600);
            for n in 100..150 {
                assert!(attempt(n, hour).is_ok(), "{n}");
            }
            assert_eq!(attempt(150, hour).err(), Some(Duration::from_secs(15)));
        }
    }

    #[test]
    fn who_gets_in_is_not_held_up() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..100 {
            let attempt = throttle.attempt(address("192.0.2.1"), "ada", now).ok().unwrap();
            throttle.succeeded(attempt);
        }
        for _ in 0..10 {
            assert!(throttle.attempt(address("192.0.2.1"), "ada", now).is_ok());
        }
    }

    #[test]
    fn memory_is_bounded_and_keeps_whoever_has_to_wait() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..50 {
            let _ = throttle.attempt(nth(n), "ada", now);
        }
        while throttle.attempt(address("192.0.2.1"), "bob", now).is_ok() {}
        for n in 1000..11_000 {
            let _ = throttle.attempt(nth(n), &format!("role {n}"), now);
        }
        let _ = throttle.attempt(address("192.0.2.8"), &"é".repeat(60_000), now);
        let longest = |who: &Who| matches!(who, Who::RoleAt(role, _) | Who::Role(role) if role.chars().count() > NAME);
        assert!(!throttle.0.lock().keys().any(longest));
        assert!(throttle.0.lock().len() <= REMEMBERED);
        assert!(throttle.attempt(address("192.0.2.9"), "ada", now).is_err());
        assert!(throttle.attempt(address("192.0.2.1"), "bob", now).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(network(address("2001:db8:1:2:3::4")), address("2001:db8:1:2::"));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        let (throttle, now) = (Throttle::default(), Instant::now());
        let attempt =
            |n: u32| throttle.attempt(address(&format!("2001:db8:1:2::{n:x}")), "ada", now);
        assert_eq!((0..100).filter(|n| attempt(*n).is_ok()).count(), 10);
    }
}
