//! When and from where a key was accepted last: several words that are read as one.

use std::hint::spin_loop;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, fence};

/// Whoever writes needs a few nanoseconds, or as long as its process is not given a processor.
const PATIENCE: u32 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastUse {
    pub at: i64,
    pub from: Option<IpAddr>,
}

/// Somebody went on writing, which is to say that its process was stopped in mid-word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// All zeros: never used.
#[repr(C)]
#[derive(Default)]
pub struct LastUseCell {
    /// Odd while somebody writes; 0: nobody did.
    version: AtomicU64,
    at: AtomicI64,
    /// As IPv6, in which an IPv4 address is a mapped one.
    address: [AtomicU64; 2],
    is_address_known: AtomicBool,
}

impl LastUseCell {
    pub fn at(&self) -> i64 {
        self.at.load(Relaxed)
    }

    /// Waits for nobody: where somebody else writes at this moment, that use is as good as this
    /// one. An earlier use changes nothing.
    pub fn write(&self, used: LastUse) {
        let version = self.version.load(Relaxed);
        if !version.is_multiple_of(2) || used.at < self.at() {
            return;
        }
        if self.version.compare_exchange(version, version + 1, Acquire, Relaxed).is_err() {
            return;
        }
        // A reader that sees any of what follows sees the odd version, too.
        fence(Release);
        let bits = used.from.map_or(0, |from| match from {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        });
        self.at.store(used.at, Relaxed);
        self.address[0].store((bits >> 64) as u64, Relaxed);
        self.address[1].store(bits as u64, Relaxed);
        self.is_address_known.store(used.from.is_some(), Relaxed);
        self.version.store(version + 2, Release);
    }

    pub fn read(&self) -> Result<Option<LastUse>, Unreadable> {
        for _ in 0..PATIENCE {
            let version = self.version.load(Acquire);
            let at = self.at();
            let [high, low] = [0, 1].map(|word| u128::from(self.address[word].load(Relaxed)));
            let is_address_known = self.is_address_known.load(Relaxed);
            fence(Acquire);
            if version.is_multiple_of(2) && self.version.load(Relaxed) == version {
                let address = Ipv6Addr::from_bits(high << 64 | low).to_canonical();
                let from = is_address_known.then_some(address);
                return Ok((version > 0).then_some(LastUse { at, from }));
            }
            spin_loop();
        }
        Err(Unreadable)
    }

    /// Only while nobody can write.
    pub fn clear(&self) {
        self.at.store(0, Relaxed);
        self.version.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::Ordering::SeqCst;

    /// Whose process was stopped while it wrote.
    #[test]
    fn what_somebody_goes_on_writing_is_waited_for_by_nobody() {
        let cell = LastUseCell { version: AtomicU64::new(1), ..LastUseCell::default() };
        cell.write(LastUse { at: 1, from: None });
        assert_eq!((cell.at(), cell.read()), (0, Err(Unreadable)));
    }

    /// Each address says at what time it was written.
    #[test]
    fn nobody_reads_half_of_one_use_and_half_of_another() {
        let cell = LastUseCell::default();
        let is_over = AtomicBool::new(false);
        let from = |at: i64| Some(IpAddr::V4(Ipv4Addr::from_bits(at as u32)));
        std::thread::scope(|scope| {
            let writers = [0, 1].map(|offset| {
                let cell = &cell;
                scope.spawn(move || {
                    for at in (1..200_000).map(|n| 2 * n + offset) {
                        cell.write(LastUse { at, from: from(at) });
                    }
                })
            });
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    if let Ok(Some(used)) = cell.read() {
                        assert_eq!(used.from, from(used.at));
                    }
                }
            });
            let ended = writers.map(|writer| writer.join().is_ok());
            is_over.store(true, SeqCst);
            assert_eq!(ended, [true; 2]);
        });
    }
}
