//! A clean shutdown leaves the proofs of generated keys in a file, so that a server that restarts under load does not
//! hash every key again at once. The file is removed as it is read: a running server, and a backup of one, has none.

use crate::memory::memory;
use apikey_core::{MacKey, Proof};
use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

/// In the data directory, in which the server runs; where `pg_stat_statements` has its own.
const FILE: &str = "pg_stat/apikey_proofs";
const UNFINISHED: &str = "pg_stat/apikey_proofs.new";

/// What the last shutdown has left. After a crash that is nothing: proofs are made again, a few at a time.
pub fn take() -> Option<(MacKey, Vec<Proof>)> {
    let saved = fs::read(FILE).and_then(|saved| fs::remove_file(FILE).map(|()| saved));
    match saved {
        Ok(saved) => {
            let restored = apikey_core::restore(&saved);
            if restored.is_none() {
                log!("apikey: {FILE} was not whole and is ignored: keys are hashed again");
            }
            restored.map(|(mac_key, proofs)| (mac_key, proofs.collect()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            log!("apikey: cannot take {FILE}, keys are hashed again: {error}");
            None
        }
    }
}

/// To be called in the postmaster, whenever it has made shared memory.
#[allow(unsafe_code)]
pub fn save_at_the_end() {
    // SAFETY: the callback stays loaded as long as the postmaster, and has the signature that Postgres expects.
    unsafe { pg_sys::on_shmem_exit(Some(save), Datum::from(0)) }
}

/// Children leave by other ways, and give up what they have inherited of these callbacks.
#[allow(unsafe_code)]
#[pg_guard]
unsafe extern "C-unwind" fn save(status: i32, _argument: Datum) {
    // Of a crash we cannot know what it did to memory.
    if status != 0 {
        return;
    }
    if let Err(error) = memory().map_err(|error| error.to_string()).and_then(|memory| {
        write(&apikey_core::save(memory.mac_key, memory.proofs)).map_err(|error| error.to_string())
    }) {
        log!("apikey: cannot write {FILE}, keys will be hashed again: {error}");
    }
}

/// Whole or not at all, and for the server's user alone.
fn write(bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(UNFINISHED)?;
    file.write_all(bytes)?;
    fs::rename(UNFINISHED, FILE)
}
