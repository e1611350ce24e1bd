//! Renewed hashes on their way to the table. A check makes one, since that is the only moment at
//! which the key is at hand, and somebody else stores it, so that no check writes. It is memory
//! that many processes share, without a lock: whoever finds somebody else at it lets it be, so that
//! one hash is renewed at a time.
//!
//! What is noted holds for ten minutes, whatever becomes of it. A hash that cannot be stored, or
//! whose row somebody looks at in an old snapshot, is made six times an hour and not at each check.

mod text;

use crate::usage::KeyId;
use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};
use text::{SharedText, Words};

/// In Postgres's microseconds.
const HOLDS_FOR: i64 = 10 * 60 * 1_000_000;

/// The longest that the table's constraint lets through is Django's PBKDF2 with a salt of 128
/// characters: 195 bytes.
type Old = Words<26>;
/// 101 bytes at the highest cost.
type New = Words<14>;

/// A renewed hash, and the one that it is to replace.
#[derive(Clone, PartialEq, Eq)]
pub struct Rehash {
    pub key: KeyId,
    pub old: String,
    pub new: String,
    /// Of the key and the new hash, where the key has one.
    pub tag: Option<u32>,
}

/// All zeros: empty.
#[repr(C, align(64))]
#[derive(Default)]
pub struct RehashSlot {
    /// How often something was noted here, and a state in the last two bits. Whoever reads the same
    /// before and after has read one rehash in between.
    head: AtomicU64,
    since: AtomicI64,
    prefix: AtomicU64,
    database: AtomicU32,
    tag: AtomicU32,
    has_tag: AtomicBool,
    is_reported: AtomicBool,
    old: SharedText<26>,
    new: SharedText<14>,
}

const STATE: u64 = 3;
const WRITING: u64 = 1;
const PENDING: u64 = 2;
const SETTLED: u64 = 3;

#[derive(Clone, Copy)]
pub struct RehashTable<'a> {
    slots: &'a [RehashSlot],
    is_claimed: &'a AtomicBool,
}

/// Why no hash is made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// It was made already.
    Known,
    /// Somebody makes one at this moment.
    Busy,
    /// There is no room until some are stored.
    Full,
    /// Nor then, since those that there are could not be stored.
    Stuck,
    /// The old one has a length that none has.
    TooLong,
}

/// The right to make one hash, and room for it.
pub struct Claim<'a> {
    slot: &'a RehashSlot,
    key: KeyId,
    old: Old,
    now: i64,
    _alone: Alone<'a>,
}

/// Given back when dropped.
struct Alone<'a>(&'a AtomicBool);

/// Names what was noted, until something else takes its place.
#[derive(Clone, Copy)]
pub struct Ticket<'a> {
    slot: &'a RehashSlot,
    head: u64,
}

impl<'a> RehashTable<'a> {
    pub const fn new(slots: &'a [RehashSlot], is_claimed: &'a AtomicBool) -> Self {
        Self { slots, is_claimed }
    }

    /// For a hash that is due.
    pub fn claim(self, key: KeyId, old: &str, now: i64) -> Result<Claim<'a>, NotNow> {
        let old = Old::of(old).ok_or(NotNow::TooLong)?;
        let alone = Alone::try_new(self.is_claimed);
        if self.slots.iter().any(|slot| slot.is_of(key, old, now)) {
            return Err(NotNow::Known);
        }
        let alone = alone.ok_or(NotNow::Busy)?;
        let free = self.slots.iter().filter(|slot| slot.is_free(now));
        let Some(slot) = free.min_by_key(|slot| slot.since.load(SeqCst)) else {
            let is_stuck = self.slots.iter().all(|slot| slot.is_reported.load(SeqCst));
            return Err(if is_stuck { NotNow::Stuck } else { NotNow::Full });
        };
        Ok(Claim { slot, key, old, now, _alone: alone })
    }

    /// What is to be stored, the oldest first.
    pub fn pending(self) -> Vec<(Ticket<'a>, Rehash)> {
        let mut pending: Vec<_> = self.slots.iter().filter_map(RehashSlot::read).collect();
        pending.sort_by_key(|(ticket, _)| ticket.slot.since.load(SeqCst));
        pending
    }
}

impl Claim<'_> {
    pub fn note(self, new: &str, tag: Option<u32>) {
        let Some(new) = New::of(new) else { return };
        let Self { slot, key, old, now, .. } = self;
        let noted = slot.head.load(SeqCst) & !STATE;
        slot.head.store(noted | WRITING, SeqCst);
        slot.since.store(now, SeqCst);
        slot.prefix.store(key.prefix, SeqCst);
        slot.database.store(key.database, SeqCst);
        slot.tag.store(tag.unwrap_or_default(), SeqCst);
        slot.has_tag.store(tag.is_some(), SeqCst);
        slot.is_reported.store(false, SeqCst);
        slot.old.store(old);
        slot.new.store(new);
        slot.head.store((noted + STATE + 1) | PENDING, SeqCst);
    }
}

impl Ticket<'_> {
    /// It is stored, or need not be.
    pub fn settle(self) {
        let settled = self.head & !STATE | SETTLED;
        // Otherwise something else has its place by now.
        let _ = self.slot.head.compare_exchange(self.head, settled, SeqCst, SeqCst);
    }

    /// Whether nobody was told yet that it could not be stored.
    pub fn is_news(self) -> bool {
        !self.slot.is_reported.swap(true, SeqCst)
    }
}

impl RehashSlot {
    fn is_of(&self, key: KeyId, old: Old, now: i64) -> bool {
        self.prefix.load(SeqCst) == key.prefix
            && self.database.load(SeqCst) == key.database
            && self.holds(now)
            && self.old.load() == old
    }

    fn is_free(&self, now: i64) -> bool {
        self.head.load(SeqCst) & STATE != PENDING || !self.holds(now)
    }

    fn holds(&self, now: i64) -> bool {
        (0..HOLDS_FOR).contains(&now.saturating_sub(self.since.load(SeqCst)))
    }

    /// What is pending. It may be overwritten while it is read, and is nobody's then.
    fn read(&self) -> Option<(Ticket<'_>, Rehash)> {
        let head = self.head.load(SeqCst);
        let rehash = Rehash {
            key: KeyId { database: self.database.load(SeqCst), prefix: self.prefix.load(SeqCst) },
            old: self.old.load().to_string(),
            new: self.new.load().to_string(),
            tag: self.has_tag.load(SeqCst).then(|| self.tag.load(SeqCst)),
        };
        let is_whole = head & STATE == PENDING && self.head.load(SeqCst) == head;
        is_whole.then_some((Ticket { slot: self, head }, rehash))
    }
}

impl<'a> Alone<'a> {
    fn try_new(is_claimed: &'a AtomicBool) -> Option<Self> {
        (!is_claimed.swap(true, SeqCst)).then(|| Self(is_claimed))
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

/// Without the hashes.
impl fmt::Debug for Rehash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rehash({:?})", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: usize = 4;
    const TEN_MINUTES: i64 = 600_000_000;

    fn slots() -> Vec<RehashSlot> {
        (0..SLOTS).map(|_| RehashSlot::default()).collect()
    }

    fn key(number: usize) -> KeyId {
        KeyId::new(1, &format!("Key{number:05}")).unwrap()
    }

    fn claim<'a>(table: RehashTable<'a>, number: usize, now: i64) -> Result<Claim<'a>, NotNow> {
        table.claim(key(number), "an old hash", now)
    }

    fn refusal(claimed: Result<Claim<'_>, NotNow>) -> Option<NotNow> {
        claimed.err()
    }

    #[test]
    fn what_is_noted_is_given_out_until_it_is_settled() {
        let (slots, is_claimed) = (slots(), AtomicBool::new(false));
        let table = RehashTable::new(&slots, &is_claimed);
        for (number, tag, old) in [(1, None, "x".repeat(208)), (2, Some(0), "short".to_owned())] {
            let claimed = table.claim(key(number), &old, 1_000).unwrap_or_else(|_| panic!());
            claimed.note(&"n".repeat(101), tag);
            let expected = Rehash { key: key(number), old, new: "n".repeat(101), tag };
            let (ticket, pending) = table.pending().pop().unwrap();
            assert_eq!(pending, expected);
            ticket.settle();
            assert!(table.pending().is_empty());
        }
        assert_eq!(refusal(table.claim(key(3), &"x".repeat(209), 0)), Some(NotNow::TooLong));
    }

    #[test]
    fn it_is_made_once_in_ten_minutes_whatever_becomes_of_it() {
        let (slots, is_claimed) = (slots(), AtomicBool::new(false));
        let table = RehashTable::new(&slots, &is_claimed);
        claim(table, 1, 0).unwrap_or_else(|_| panic!()).note("new", None);
        assert_eq!(refusal(claim(table, 1, TEN_MINUTES - 1)), Some(NotNow::Known));
        table.pending().into_iter().for_each(|(ticket, _)| ticket.settle());
        assert_eq!(refusal(claim(table, 1, TEN_MINUTES - 1)), Some(NotNow::Known));
        assert_eq!(refusal(table.claim(key(1), "another", 0)), None);
        let elsewhere = KeyId { database: 2, ..key(1) };
        assert_eq!(refusal(table.claim(elsewhere, "an old hash", 0)), None);
        assert_eq!(refusal(claim(table, 1, TEN_MINUTES)), None);
        // A clock that was put back must not make it hold for longer.
        assert_eq!(refusal(claim(table, 1, -1)), None);
    }

    #[test]
    fn debug_shows_no_hash() {
        let (old, new) = ("an old hash".to_owned(), "a new hash".to_owned());
        let shown = format!("{:?}", Rehash { key: key(1), old, new, tag: None });
        assert!(shown.starts_with("Rehash(KeyId"), "{shown}");
        assert!(!shown.contains("an old") && !shown.contains("a new"), "{shown}");
    }

    #[test]
    fn one_is_made_at_a_time() {
        let (slots, is_claimed) = (slots(), AtomicBool::new(false));
        let table = RehashTable::new(&slots, &is_claimed);
        let first = claim(table, 1, 0);
        assert_eq!(refusal(claim(table, 2, 0)), Some(NotNow::Busy));
        drop(first);
        assert_eq!(refusal(claim(table, 2, 0)), None);
    }

    #[test]
    fn a_full_table_takes_no_more_until_something_is_settled_or_old() {
        let (slots, is_claimed) = (slots(), AtomicBool::new(false));
        let table = RehashTable::new(&slots, &is_claimed);
        for number in 0..SLOTS {
            claim(table, number, number as i64).unwrap_or_else(|_| panic!()).note("new", None);
        }
        assert_eq!(refusal(claim(table, 9, 10)), Some(NotNow::Full));
        let (second, _) = table.pending().swap_remove(1);
        assert!(second.is_news() && !second.is_news());
        second.settle();
        claim(table, 9, 10).unwrap_or_else(|_| panic!()).note("newer", None);
        second.settle();
        let pending: Vec<_> = table.pending().into_iter().map(|(_, rehash)| rehash.key).collect();
        assert_eq!(pending, [0, 2, 3, 9].map(key), "what took its place is not settled");
        assert!(table.pending().pop().unwrap().0.is_news());
        let reported = table.pending().iter().filter(|(ticket, _)| ticket.is_news()).count();
        assert_eq!(reported, SLOTS - 1, "one was before");
        assert_eq!(refusal(claim(table, 8, 11)), Some(NotNow::Stuck));
        claim(table, 8, TEN_MINUTES).unwrap_or_else(|_| panic!()).note("new", None);
        assert_eq!(table.pending().pop().unwrap().1.key, key(8));
        assert_eq!(table.pending().len(), SLOTS, "the oldest made room");
    }

    /// Each hash says whose it is.
    #[test]
    fn nobody_reads_half_of_one_and_half_of_another() {
        let (slots, is_claimed) = (slots(), AtomicBool::new(false));
        let table = RehashTable::new(&slots, &is_claimed);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..20_000 {
                    let text = format!("{:?}", key(number)).repeat(2);
                    if let Ok(claimed) = table.claim(key(number), &text, number as i64) {
                        claimed.note(&text, Some(number as u32));
                    }
                }
                is_over.store(true, SeqCst);
            });
            while !is_over.load(SeqCst) {
                for (ticket, rehash) in table.pending() {
                    let text = format!("{:?}", rehash.key).repeat(2);
                    assert!(rehash.old == text && rehash.new == text);
                    ticket.settle();
                }
            }
        });
    }
}
