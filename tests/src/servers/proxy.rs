//! A real reverse proxy, run by an unprivileged user with a file of deploy/.

use crate::from_test_script;
use crate::program::{program, run};
use crate::waiting::eventually;
use std::fs::{File, Permissions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where a proxy finds its settings, and may write.
pub struct ProxyFiles(TempDir);

impl ProxyFiles {
    pub fn new() -> Self {
        let files = tempfile::Builder::new().prefix("apikey-proxy.").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(files.path(), Permissions::from_mode(0o777)).unwrap();
        Self(files)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn directory(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A file of deploy/ with these texts replaced, each of which is in it.
    pub fn deploy(&self, name: &str, replaced: &[(&str, &str)]) -> String {
        let mut text = std::fs::read_to_string(format!("{ROOT}/deploy/{name}")).unwrap();
        for (from, to) in replaced {
            assert!(text.contains(from), "deploy/{name} has no {from}");
            text = text.replace(from, to);
        }
        self.write(name, &text)
    }
}

impl Default for ProxyFiles {
    fn default() -> Self {
        Self::new()
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    child: Child,
    files: ProxyFiles,
}

impl Proxy {
    /// Returns when it accepts connections at the address.
    pub fn start(files: ProxyFiles, address: SocketAddr, command: &[&str]) -> Self {
        let log = File::create(files.path("log")).unwrap();
        let mut child = program(&format!("{ROOT}/scripts/unprivileged"), command)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually(&format!("{command:?} listens"), || {
            let log = || std::fs::read_to_string(files.path("log")).unwrap();
            assert_eq!(child.try_wait().unwrap(), None, "it ended: {}", log());
            // A port that nobody listens on may be given to the connection itself.
            TcpStream::connect(address)
                .is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
        });
        Self { address, child, files }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.files.path("log")).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.log());
        }
        // Not by KILL, which would leave its workers.
        run(&mut program("kill", &[&self.child.id().to_string()])).success();
        let _ = self.child.wait();
    }
}

/// One that is free, and that nobody else takes meanwhile: below the ports that the kernel gives to
/// whoever asks for any, beside those of scripts/cluster, and given to one test of this process.
pub fn free_address() -> SocketAddr {
    const PORTS: Range<u32> = 10_000..20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    for _ in PORTS {
        let place = (std::process::id() + GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(PORTS.start + place).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("all of the ports {PORTS:?} are taken");
}

/// A program that came with the packages of a Python environment of scripts/python-env.
pub fn from_python_env(variable: &str, name: &str) -> String {
    let script = "import os, sys, sysconfig\n\
                  print(os.path.join(sysconfig.get_path('purelib'), 'bin', sys.argv[1]))";
    run(&mut program(&from_test_script(variable), &["-c", script, name])).success()
}
