//! A proof says "this key matches that verifier", once the slow hash has shown it. It says nothing
//! of whether the key is valid, and never grows old: a changed verifier is another fact.

mod saved;

pub use saved::{restore, save};

use crate::random::{self, NoRandomness};
use apikey_format::Key;
use blake2::Blake2bVarCore;
use blake2::digest::block_api::{Block, Buffer, UpdateCore, VariableOutputCore};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What proofs are made under: random bits, without which nobody can test a guess against a proof.
#[derive(Clone)]
pub struct MacKey {
    bytes: [u8; Self::LENGTH],
    /// BLAKE2b after its first block, which is the key, and the same for each proof.
    keyed: Blake2bVarCore,
}

impl MacKey {
    /// As long as BLAKE2b takes it.
    pub const LENGTH: usize = 64;

    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; Self::LENGTH];
        random::fill(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let mut block = Block::<Blake2bVarCore>::default();
        block[..Self::LENGTH].copy_from_slice(&bytes);
        let mut keyed = Blake2bVarCore::new_with_params(&[], &[], Self::LENGTH, Proof::LENGTH);
        keyed.update_blocks(&[block]);
        Self { bytes, keyed }
    }

    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.bytes
    }

    /// 128 bits of BLAKE2b in its keyed mode (RFC 7693, 2.9), over these parts in one. They may not
    /// all be empty.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; Proof::LENGTH] {
        let (mut state, mut buffer) = (self.keyed.clone(), Buffer::<Blake2bVarCore>::default());
        for part in parts {
            buffer.digest_blocks(part, |blocks| state.update_blocks(blocks));
        }
        let mut output = Default::default();
        state.finalize_variable_core(&mut buffer, &mut output);
        std::array::from_fn(|at| output[at])
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// A MAC of key and verifier. One of its 128 bits, instead, says whether the proof may outlast the
/// server's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    low: u64,
    high: u64,
}

impl Proof {
    pub const LENGTH: usize = 16;

    /// A free place. A proof that were this, 1 of 2^128, would be found without having been made:
    /// for one key under one verifier, until the next start.
    const NONE: Self = Self { low: 0, high: 0 };

    const LASTS: u64 = 1;

    /// Fast: what is the same in all keys, and in all verifiers that are made here, is left out,
    /// and the rest of both is one block of BLAKE2b at the default cost. It may last where the key
    /// was generated: whoever got hold of it and of the MAC key could test guesses at a chosen
    /// secret.
    pub fn new(mac_key: &MacKey, key: Key<'_>, verifier: &str, lasts: bool) -> Self {
        // The first byte tells a beginning that was left out from one that is not there. Generated
        // keys have one length; another key's lengths follow a first byte of its own. So no other
        // pair is the same text.
        let (beginning, rest) = match verifier.strip_prefix("$argon2id$") {
            Some(rest) => (1, rest),
            None => (0, verifier),
        };
        let (prefix, secret) = key.halves();
        let other = [beginning + 2, prefix.len() as u8, secret.len() as u8];
        let first = if key.is_generated() { &[beginning] } else { &other[..] };
        let parts = [first, prefix.as_bytes(), secret.as_bytes(), rest.as_bytes()];
        let mut proof = Self::from_bytes(mac_key.mac(&parts));
        proof.high = proof.high & !Self::LASTS | u64::from(lasts);
        proof
    }

    pub fn lasts(self) -> bool {
        self.high & Self::LASTS != 0
    }

    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let proof = u128::from_le_bytes(bytes);
        Self { low: proof as u64, high: (proof >> 64) as u64 }
    }

    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        (u128::from(self.high) << 64 | u128::from(self.low)).to_le_bytes()
    }
}

/// What proofs are kept in: one cache line, four places. All zeros: four free ones.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Bucket([Place; 4]);

#[derive(Default)]
#[repr(C)]
struct Place {
    low: AtomicU64,
    high: AtomicU64,
}

/// Proofs that have been made, as many as there is room for. Any number of processes may use one at
/// the same time, without a lock.
///
/// The halves of a proof are written one after the other, so that a reader may see halves of two
/// proofs. These would have to be the halves of a third one to do harm: 128 bits that nobody can
/// choose without the MAC key.
#[derive(Clone, Copy)]
pub struct ProofTable<'a> {
    buckets: &'a [Bucket],
    /// How often a proof took another one's place.
    evictions: &'a AtomicU64,
}

impl<'a> ProofTable<'a> {
    /// `buckets` must not be empty.
    pub fn new(buckets: &'a [Bucket], evictions: &'a AtomicU64) -> Self {
        Self { buckets, evictions }
    }

    pub fn contains(self, proof: Proof) -> bool {
        self.bucket(proof).iter().any(|place| place.get() == proof)
    }

    /// Where all places are taken, one after the other is given away.
    pub fn insert(self, proof: Proof) {
        let bucket = self.bucket(proof);
        if self.contains(proof) {
            return;
        }
        let place = bucket.iter().find(|place| place.get() == Proof::NONE).unwrap_or_else(|| {
            let evicted = self.evictions.fetch_add(1, Relaxed);
            &bucket[evicted as usize % bucket.len()]
        });
        place.low.store(proof.low, Relaxed);
        place.high.store(proof.high, Relaxed);
    }

    pub fn iter(self) -> impl Iterator<Item = Proof> + 'a {
        let places = self.buckets.iter().flat_map(|bucket| &bucket.0);
        places.map(Place::get).filter(|proof| *proof != Proof::NONE)
    }

    /// The product of a random number below 2^64 and the number of buckets, over 2^64, is each
    /// bucket as often.
    fn bucket(self, proof: Proof) -> &'a [Place; 4] {
        let scaled = u128::from(proof.low) * self.buckets.len() as u128;
        &self.buckets[(scaled >> 64) as usize].0
    }
}

impl Place {
    fn get(&self) -> Proof {
        Proof { low: self.low.load(Relaxed), high: self.high.load(Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::tests::{KEY, OTHER};
    use std::collections::HashSet;

    const VERIFIER: &str = "$argon2id$v=19$m=256,t=2,p=1$\
        YXBpa2V5LXRlc3Qtc2FsdA$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0";

    fn mac_key() -> MacKey {
        MacKey::new().unwrap_or_else(|error| panic!("{error}"))
    }

    fn proof(mac_key: &MacKey, key: &str, verifier: &str) -> Proof {
        Key::parse(key).map_or(Proof::NONE, |key| Proof::new(mac_key, key, verifier, true))
    }

    /// `hashlib.blake2b(b"\x01" + (KEY.replace(".", "") +
    /// VERIFIER.removeprefix("$argon2id$")).encode(), digest_size=16,
    /// key=bytes(range(64))).hexdigest()`, but for one bit: e0 is e1, since the proof may last.
    #[test]
    fn a_proof_is_what_another_implementation_says() {
        let counted = MacKey::from_bytes(std::array::from_fn(|at| at as u8));
        let bytes = proof(&counted, KEY, VERIFIER).to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "14913cb6669e91cbe1e4ab0e44675225");
        assert_eq!(Proof::from_bytes(bytes), proof(&counted, KEY, VERIFIER));
    }

    /// `hashlib.blake2b(bytes([FIRST, 3, 6]) + b"abcsecret" + REST.encode(), digest_size=16,
    /// key=bytes(range(64)))`, where FIRST is 3 and REST begins behind `$argon2id$`, or FIRST is 2
    /// and REST is the whole verifier. 10 is 11, since the proof may last.
    #[test]
    fn so_is_that_of_a_key_of_another_shape() {
        let counted = MacKey::from_bytes(std::array::from_fn(|at| at as u8));
        for (verifier, expected) in [
            (VERIFIER, 0xa26b_7aba_76d2_c476_71b0_242b_1d77_594e_u128),
            ("sha512$$ab", 0x8bdc_8487_d440_fe5b_1184_2dbb_905f_acfc),
        ] {
            let bytes = proof(&counted, "abc.secret", verifier).to_bytes();
            assert_eq!(bytes, expected.to_be_bytes(), "{verifier}");
        }
    }

    #[test]
    fn another_key_verifier_or_mac_key_makes_another_proof() {
        let (one, two) = (mac_key(), mac_key());
        let proofs = [
            proof(&one, KEY, VERIFIER),
            proof(&one, OTHER, VERIFIER),
            proof(&one, KEY, &VERIFIER.replace("t=2", "t=3")),
            proof(&one, KEY, &VERIFIER.replace("$argon2id$", "")),
            proof(&one, KEY, &VERIFIER.replace("argon2id", "argon2i")),
            proof(&two, KEY, VERIFIER),
            // The same characters, divided in another way between prefix, secret and verifier.
            proof(&one, "Map0K71.Trcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW", VERIFIER),
            proof(&one, "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOs", &format!("W{VERIFIER}")),
            proof(&one, "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnO", &format!("sW{VERIFIER}")),
        ];
        let distinct: HashSet<_> = proofs.iter().map(|proof| proof.to_bytes()).collect();
        assert_eq!(distinct.len(), proofs.len());
    }

    #[test]
    fn debug_shows_no_mac_key() {
        assert_eq!(format!("{:?}", MacKey::from_bytes([65; MacKey::LENGTH])), "MacKey(…)");
    }

    /// Any proofs, in order of their first half: each bucket gets as many as any other.
    fn spread(count: u64) -> impl Iterator<Item = Proof> {
        (1..=count).map(move |n| Proof { low: n * (u64::MAX / (count + 1)), high: n })
    }

    #[test]
    fn what_was_put_in_is_found_and_nothing_else() {
        let buckets: Vec<Bucket> = (0..16).map(|_| Bucket::default()).collect();
        let evictions = AtomicU64::new(0);
        let table = ProofTable::new(&buckets, &evictions);
        for proof in spread(32) {
            assert!(!table.contains(proof));
            table.insert(proof);
            table.insert(proof);
            assert!(table.contains(proof));
        }
        assert!(spread(32).all(|proof| table.contains(proof)));
        assert_eq!(table.iter().count(), 32);
        let halves_of_two = Proof {
            high: 1,
            ..Proof::from_bytes(spread(2).last().map_or([0; 16], Proof::to_bytes))
        };
        assert!(!table.contains(halves_of_two));
        assert_eq!(evictions.into_inner(), 0);
    }

    #[test]
    fn a_full_table_gives_up_old_proofs_for_new_ones() {
        let buckets = [Bucket::default()];
        let evictions = AtomicU64::new(0);
        let table = ProofTable::new(&buckets, &evictions);
        for proof in spread(100) {
            table.insert(proof);
            assert!(table.contains(proof));
        }
        assert_eq!(table.iter().count(), 4);
        assert_eq!(evictions.load(Relaxed), 96);
    }

    #[test]
    fn many_at_once_lose_nothing_that_there_is_room_for() {
        let buckets: Vec<Bucket> = (0..1024).map(|_| Bucket::default()).collect();
        let evictions = AtomicU64::new(0);
        let table = ProofTable::new(&buckets, &evictions);
        std::thread::scope(|scope| {
            for offset in 0..4 {
                scope.spawn(move || {
                    for proof in spread(1024).skip(offset).step_by(4) {
                        table.insert(proof);
                        assert!(table.contains(proof));
                    }
                });
            }
        });
        assert!(spread(1024).all(|proof| table.contains(proof)));
    }
}
