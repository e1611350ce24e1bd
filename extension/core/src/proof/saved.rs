//! Proofs as bytes, for a file that outlasts a restart: a mark, the MAC key, the proofs, and a
//! checksum under that key. Only those of generated keys: with what is here, a guess at a secret
//! can be tested as fast as a hash, and a secret of 190 random bits is beyond that.

use super::{MacKey, Proof, ProofTable};

const MARK: &[u8; 16] = b"apikey proofs 2\n";
const CHECKSUM_LENGTH: usize = Proof::LENGTH;

pub fn save(mac_key: &MacKey, proofs: ProofTable<'_>) -> Vec<u8> {
    let proofs: Vec<u8> =
        proofs.iter().filter(|proof| proof.lasts()).flat_map(Proof::to_bytes).collect();
    [MARK, &mac_key.as_bytes()[..], &proofs, &checksum(mac_key, &proofs)].concat()
}

/// The MAC key, and the proofs that were made under it. `None`: these bytes are not whole, or of
/// another version.
pub fn restore(saved: &[u8]) -> Option<(MacKey, impl Iterator<Item = Proof>)> {
    let rest = saved.strip_prefix(MARK)?;
    let (mac_key, rest) = rest.split_first_chunk::<{ MacKey::LENGTH }>()?;
    let (proofs, stored) = rest.split_last_chunk::<CHECKSUM_LENGTH>()?;
    let mac_key = MacKey::from_bytes(*mac_key);
    let (proofs, left_over) = proofs.as_chunks::<{ Proof::LENGTH }>();
    let is_whole = left_over.is_empty() && checksum(&mac_key, proofs.as_flattened()) == *stored;
    is_whole.then(|| (mac_key, proofs.iter().copied().map(Proof::from_bytes)))
}

fn checksum(mac_key: &MacKey, proofs: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    mac_key.mac(&[MARK, proofs])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Bucket;
    use crate::verifier::tests::KEY;
    use apikey_format::Key;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;

    fn saved() -> (Vec<u8>, Vec<Proof>) {
        let mac_key = MacKey::from_bytes([7; MacKey::LENGTH]);
        let (buckets, evictions) = ([Bucket::default(), Bucket::default()], AtomicU64::new(0));
        let table = ProofTable::new(&buckets, &evictions);
        let make =
            |verifier, lasts| Key::parse(KEY).map(|key| Proof::new(&mac_key, key, verifier, lasts));
        let lasting: Vec<_> = ["a", "b", "c"].into_iter().filter_map(|v| make(v, true)).collect();
        let passing = ["d", "e"].into_iter().filter_map(|v| make(v, false));
        lasting.iter().copied().chain(passing).for_each(|proof| table.insert(proof));
        (save(&mac_key, table), lasting)
    }

    #[test]
    fn what_lasts_is_restored_and_nothing_else() {
        let (bytes, lasting) = saved();
        let restored =
            restore(&bytes).map(|(mac_key, proofs)| (mac_key, proofs.collect::<Vec<_>>()));
        let (mac_key, mut proofs) = restored.unwrap_or_else(|| panic!("not restored"));
        assert_eq!(mac_key.as_bytes(), &[7; MacKey::LENGTH]);
        proofs.sort_by_key(|proof| lasting.iter().position(|other| other == proof));
        assert_eq!(proofs, lasting);
        assert_eq!(bytes.len(), 16 + 64 + 3 * 16 + 16);
    }

    #[test]
    fn what_is_not_whole_is_not_restored() {
        let (bytes, _) = saved();
        for length in 0..bytes.len() {
            assert!(restore(&bytes[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_damaged_is_not_restored(at in 0..144usize, flip in 1..=255u8) {
            let (mut bytes, _) = saved();
            bytes[at] ^= flip;
            prop_assert!(restore(&bytes).is_none());
        }
    }
}
