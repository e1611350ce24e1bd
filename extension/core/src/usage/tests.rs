use super::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, RwLock};

fn key(database: u32, number: usize) -> KeyId {
    KeyId::new(database, &format!("K{number:07}")).unwrap_or_else(|| panic!("not a key: {number}"))
}

fn slots(count: usize) -> Vec<Slot> {
    (0..count).map(|_| Slot::default()).collect()
}

fn counts(accepted: i64, refused: i64) -> Counts {
    Counts { accepted, refused }
}

const ANYWHERE: Outcome = Outcome::Accepted(1, None);

#[test]
fn what_is_no_prefix_has_no_slot() {
    for text in ["", "nine byte", "\0", "zero\0", "\0\0\0\0\0\0\0\0"] {
        assert_eq!(KeyId::new(1, text), None, "{text}");
    }
    for text in ["K", "short", "K0000042"] {
        assert_eq!(KeyId::new(1, text).map(KeyId::prefix).as_deref(), Some(text));
    }
}

#[test]
fn a_table_without_slots_is_crowded() {
    for count in [0, WAYS - 1] {
        let slots = slots(count);
        let table = UsageTable::new(&slots);
        assert!(!table.count(key(1, 1), ANYWHERE));
        assert_eq!(table.claim_and_count(key(1, 1), ANYWHERE, || 1), Err(Crowded));
        assert_eq!(table.read().count(), 0);
    }
}

#[test]
fn a_key_is_counted_from_its_claim_on() {
    let slots = slots(64);
    let table = UsageTable::new(&slots);
    let here: IpAddr = [10, 0, 0, 1].into();
    assert!(!table.count(key(1, 1), ANYWHERE), "nobody gave it a slot");
    assert_eq!(table.claim_and_count(key(1, 1), Outcome::Accepted(5, Some(here)), || 77), Ok(()));
    assert!(table.count(key(1, 1), Outcome::Refused));
    assert!(table.count(key(1, 1), Outcome::Accepted(4, None)), "counted, and no later use");
    assert!(!table.count(key(2, 1), ANYWHERE), "a key of another database");

    let usage = table.read().collect::<Vec<_>>();
    let last_use = Some(LastUse { at: 5, from: Some(here) });
    assert_eq!(usage, [Usage { key: key(1, 1), generation: 77, counts: counts(2, 1), last_use }]);
    assert_eq!(table.read_of(key(1, 1)), Some(usage[0]));
    assert_eq!(table.read_of(key(2, 1)), None);
    assert_eq!(table.unwritten().count(), 1);
    table.written(&usage[0]);
    assert_eq!(table.unwritten().count(), 0);
    table.count(key(1, 1), Outcome::Refused);
    assert_eq!(table.unwritten().next().map(|usage| usage.counts), Some(counts(2, 2)));
}

/// As Python's integers have it: ((PREFIX ^ DATABASE) * 0x9E37… mod 2^64, exclusive or its own
/// upper half) * 0xD6E8… mod 2^64.
#[test]
fn a_hash_is_what_another_implementation_says() {
    for (database, prefix, hash) in [
        (1, "K0000001", 0x9F96_82F0_694E_92EF),
        (16_384, "Map0K71T", 0xDACB_2508_2E59_F16C),
        (5, "a", 0x633F_0E61_AC52_7E53),
    ] {
        assert_eq!(KeyId::new(database, prefix).map(KeyId::hash), Some(hash), "{prefix}");
    }
}

#[test]
fn keys_are_spread_over_all_slots() {
    let slots = slots(16 * WAYS + WAYS / 2);
    let table = UsageTable::new(&slots);
    for number in 0..1000 {
        let _ = table.claim_and_count(key(1, number), ANYWHERE, || 1);
    }
    assert_eq!(table.read().count(), 16 * WAYS, "all but what is left over of the last eight");
}

#[test]
fn runs_begin_to_number_at_random_and_none_at_zero() {
    assert_eq!(generation([0; 8]), 1);
    assert_eq!(generation([255; 8]), 1 << 62);
    let (one, two) = (first_generation(), first_generation());
    assert!(one.is_ok_and(|one| two.is_ok_and(|two| one != two)));
}

#[test]
fn addresses_come_back_as_they_were() {
    let cell = last_use::LastUseCell::default();
    assert_eq!(cell.read(), Ok(None));
    for (at, text) in [(1, "12.34.56.78"), (2, "2001:db8::1"), (3, "0.0.0.0"), (4, "::")] {
        let used = LastUse { at, from: text.parse().ok() };
        cell.write(used);
        assert_eq!(cell.read(), Ok(Some(used)));
    }
    for from in ["192.0.2.1".parse().ok(), None] {
        cell.write(LastUse { at: 5, from });
        assert_eq!(cell.read(), Ok(Some(LastUse { at: 5, from })), "as late as the one before");
    }
    cell.clear();
    assert_eq!(cell.read(), Ok(None));
}

/// Fills one bucket, whose keys have to share it with one more.
#[test]
fn only_a_slot_whose_counts_are_written_is_given_away() {
    let slots = slots(WAYS);
    let table = UsageTable::new(&slots);
    for number in 0..WAYS {
        let at = number as i64 + 1;
        let outcome = Outcome::Accepted(at, None);
        assert_eq!(table.claim_and_count(key(1, number), outcome, || at), Ok(()));
    }
    let late = key(1, WAYS);
    assert_eq!(table.claim_and_count(late, Outcome::Refused, || 100), Err(Crowded));
    let usage = table.read().collect::<Vec<_>>();
    for number in [3, 5] {
        table.written(&usage[number]);
    }
    // Pinned: somebody counts in it at this moment.
    let pin = slots[3].pin(key(1, 3));
    assert!(pin.is_some());
    assert_eq!(table.claim_and_count(late, Outcome::Refused, || 100), Ok(()));
    assert!(table.count(key(1, 3), ANYWHERE) && !table.count(key(1, 5), ANYWHERE));
    assert!(!table.count(key(2, 3), ANYWHERE), "of another database, in the same bucket");
    table.read().filter(|usage| usage.key == key(1, 3)).for_each(|usage| table.written(&usage));
    assert!(!slots[3].take_away());
    drop(pin);
    assert!(slots[3].take_away(), "nobody counts in it any more");

    let found = table.read().find(|usage| usage.key == late);
    let expected = Usage { key: late, generation: 100, counts: counts(0, 1), last_use: None };
    assert_eq!(found, Some(expected));
    // A late note about the slot's former key is not about this one.
    table.written(&usage[5]);
    assert!(table.unwritten().any(|usage| usage.key == late));
}

#[test]
fn the_slot_that_was_used_the_longest_ago_goes_first() {
    let slots = slots(WAYS);
    let table = UsageTable::new(&slots);
    for (number, at) in [8, 3, 5, 2, 9, 7, 6, 4].into_iter().enumerate() {
        let outcome = Outcome::Accepted(at, None);
        assert_eq!(table.claim_and_count(key(1, number), outcome, || at), Ok(()));
    }
    table.read().for_each(|usage| table.written(&usage));
    assert_eq!(table.claim_and_count(key(1, 99), Outcome::Accepted(10, None), || 10), Ok(()));
    assert!(!table.count(key(1, 3), ANYWHERE));
    assert_eq!(table.read().count(), WAYS);
}

#[test]
fn what_was_saved_at_a_restart_goes_on() {
    let before = slots(2 * WAYS);
    let table = UsageTable::new(&before);
    let here: IpAddr = [10, 0, 0, 1].into();
    let outcomes = [Outcome::Accepted(9, Some(here)), Outcome::Accepted(8, None), Outcome::Refused];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let generation = number as i64 + 1;
        assert_eq!(table.claim_and_count(key(7, number), outcome, || generation), Ok(()));
    }
    // Of the first, one use is written and two are not.
    table.read().filter(|usage| usage.key == key(7, 0)).for_each(|usage| table.written(&usage));
    table.count(key(7, 0), Outcome::Accepted(10, Some(here)));
    table.count(key(7, 0), Outcome::Refused);
    assert_eq!(table.claim_and_count(key(7, 3), Outcome::Refused, || 4), Ok(()));
    table.read().filter(|usage| usage.key == key(7, 3)).for_each(|usage| table.written(&usage));
    let mut lines: Vec<_> = table.to_save().map(|usage| usage.to_line()).collect();
    lines.sort();
    let expected = ["7 K0000000 1 1 10 10.0.0.1", "7 K0000001 1 0 8 -", "7 K0000002 0 1 - -"];
    assert_eq!(lines, expected);

    let after = slots(WAYS);
    let table = UsageTable::new(&after);
    for line in &lines {
        assert_eq!(Usage::from_line(line, 5).map(|usage| table.resume(&usage)), Some(Ok(())));
    }
    let mut resumed: Vec<_> = table.unwritten().map(|usage| usage.to_line()).collect();
    resumed.sort();
    assert_eq!(resumed, expected);
}

#[test]
fn a_damaged_line_is_left_out() {
    let line = "7 K0000000 1 1 10 10.0.0.1";
    assert!(Usage::from_line(line, 5).is_some());
    for damaged in [
        "",
        "7",
        "x K0000000 1 1 10 -",
        "7 K00000001 1 1 10 -",
        "7 K0000000 -1 1 10 -",
        "7 K0000000 1 -1 10 -",
    ] {
        assert_eq!(Usage::from_line(damaged, 5), None, "{damaged}");
    }
    for cut in 0..line.len() - 1 {
        assert_eq!(Usage::from_line(&line[..cut], 5), None, "{}", &line[..cut]);
    }
    assert_eq!(Usage::from_line(&format!("{line} 1"), 5), None);
}

/// What the rows of `apikey.usage` say, and the rule by which they are written.
#[derive(Clone, Copy, Default)]
struct Stored {
    total: Counts,
    generation: i64,
    included: Counts,
}

fn store(rows: &mut HashMap<String, Stored>, usage: &Usage) {
    let row = rows.entry(usage.key.prefix()).or_default();
    let before = if row.generation == usage.generation { row.included } else { Counts::default() };
    row.total.accepted += usage.counts.accepted - before.accepted;
    row.total.refused += usage.counts.refused - before.refused;
    (row.generation, row.included) = (usage.generation, usage.counts);
}

/// More keys than slots, so that slots change hands all the time: each use is stored once, or was
/// refused because the table was crowded.
#[test]
fn many_at_once_lose_nothing_and_count_nothing_twice() {
    const THREADS: usize = 4;
    const KEYS: usize = 24;
    const ROUNDS: usize = 40_000;
    let slots = slots(2 * WAYS);
    let table = UsageTable::new(&slots);
    let (lock, generation, dropped) = (RwLock::new(()), AtomicI64::new(1), AtomicI64::new(0));
    let rows = Mutex::new(HashMap::new());

    let flush = || {
        let Ok(mut rows) = rows.lock() else { return };
        let batch: Vec<_> = {
            let _shared = lock.read();
            table.unwritten().collect()
        };
        batch.iter().for_each(|usage| store(&mut rows, usage));
        let _shared = lock.read();
        batch.iter().for_each(|usage| table.written(usage));
    };
    let check = |thread: usize, round: usize| {
        let key = key(1, (round * (thread + 3) + round / 7) % KEYS);
        let outcome = match round % 3 {
            0 => Outcome::Refused,
            _ => Outcome::Accepted(round as i64, Some([10, 0, 0, 1].into())),
        };
        if !table.count(key, outcome) {
            let _alone = lock.write();
            let next = || generation.fetch_add(1, SeqCst);
            if table.claim_and_count(key, outcome, next).is_err() {
                dropped.fetch_add(1, SeqCst);
            }
        }
        if round.is_multiple_of(50) {
            flush();
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || (0..ROUNDS).for_each(|round| check(thread, round)));
        }
    });
    flush();

    let stored = rows.lock().map_or(0, |rows| {
        rows.values().map(|row| row.total.accepted + row.total.refused).sum::<i64>()
    });
    assert_eq!(stored + dropped.load(SeqCst), (THREADS * ROUNDS) as i64);
    assert!(generation.load(SeqCst) > 10 * KEYS as i64, "hardly a slot changed hands");
}
