//! A small disk, to be filled.

use crate::program::{program, run};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

pub struct Tmpfs(TempDir);

impl Tmpfs {
    /// `None` for somebody who may not mount one.
    pub fn mount(size: &str) -> Option<Self> {
        let directory = tempfile::Builder::new()
            .prefix("apikey-disk.")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let option = format!("size={size},mode=755");
        let path = directory.path().to_str()?.to_owned();
        let mounted = run(&mut program("mount", &["-t", "tmpfs", "-o", &option, "tmpfs", &path]));
        (mounted.code == Some(0)).then_some(Self(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// With a file, until nothing more goes in.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 8192]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    pub fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        run(&mut program("umount", &["--lazy", self.path().to_str().unwrap()]));
    }
}
