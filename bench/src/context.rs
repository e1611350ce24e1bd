//! What all parts need to know: the server, the machine, and how much to measure.

use crate::cpu::Server;
use apikey_tests::{Cluster, Database, from_test_script, program, run};
use std::path::PathBuf;

/// How much to measure. The quick form is for trying the harness out: its figures mean little.
pub struct Scale {
    pub rounds: usize,
    pub seconds: u32,
    /// Keys that are checked, in each database.
    pub keys: usize,
    /// Keys of the default cost that are checked for the first time: in a round beside a run of
    /// Argon2id, and to see what is left of it in memory.
    pub hashes: usize,
    pub first_checks: usize,
    pub revocations: usize,
    /// Keys in the table, for the curve; the last is compared with the first.
    pub sizes: Vec<u64>,
    /// Connections, for the other curve.
    pub connections: Vec<usize>,
}

impl Scale {
    pub fn full() -> Self {
        Self {
            rounds: 9,
            seconds: 2,
            keys: 1000,
            hashes: 20,
            first_checks: 1000,
            revocations: 1000,
            sizes: vec![1_000, 10_000, 100_000, 1_000_000, 10_000_000],
            connections: vec![1, 2, 4, 16, 64],
        }
    }

    pub fn quick() -> Self {
        Self {
            rounds: 1,
            seconds: 1,
            hashes: 10,
            first_checks: 100,
            sizes: vec![1_000, 10_000],
            connections: vec![1, 16],
            ..Self::full()
        }
    }
}

pub struct Context {
    pub scale: Scale,
    pub cores: usize,
    /// The cluster's, which `scripts/bench` made.
    pub directory: PathBuf,
    pub server: Server,
    programs: String,
}

impl Context {
    pub fn new(scale: Scale) -> Self {
        let directory = PathBuf::from(from_test_script("APIKEY_TEST_CLUSTER"));
        let pg_config = from_test_script("PG_CONFIG");
        Self {
            scale,
            cores: std::thread::available_parallelism().unwrap().get(),
            server: Server::of_cluster(&directory),
            directory,
            programs: run(&mut program(&pg_config, &["--bindir"])).success(),
        }
    }

    /// A new database with the extension, whose keys cost as little Argon2id as the settings allow.
    pub fn database(&self) -> Database {
        Database::in_cluster(Cluster::shared())
    }

    /// Everything is asked over the server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// A program of the server's own.
    pub fn server_program(&self, name: &str) -> String {
        format!("{}/{name}", self.programs)
    }
}
