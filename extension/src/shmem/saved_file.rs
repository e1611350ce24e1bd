//! A file in which a clean stop of the server saves something for the next start. It is there only
//! while the server is not: a running one, and a backup of one, has none.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

/// In the data directory, in which the server runs; where Postgres and `pg_stat_statements` have
/// theirs.
pub struct SavedFile {
    pub path: &'static str,
    pub unfinished: &'static str,
}

impl SavedFile {
    /// What the last stop has saved, removed as it is read: after a crash it would be loaded a
    /// second time.
    pub fn load(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            saved => {
                let saved = saved?;
                fs::remove_file(self.path).map(|()| Some(saved))
            }
        }
    }

    /// Whole or not at all, and for the server's user alone.
    pub fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let _ = fs::remove_file(self.unfinished);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.unfinished)?;
        file.write_all(bytes)?;
        fs::rename(self.unfinished, self.path)
    }
}
