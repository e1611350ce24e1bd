//! What tests of keys ask again and again.

use crate::one;
use postgres::Client;

/// A key of the same prefix that is not the key.
pub fn wrong_secret(key: &str) -> String {
    let (rest, last) = key.split_at(key.len() - 1);
    format!("{rest}{}", if last == "x" { "y" } else { "x" })
}

/// Whether a check says so, from an address that it does not know.
pub fn is_valid(client: &mut Client, key: &str) -> bool {
    one(client, &format!("SELECT apikey_check('{key}', NULL)")).is_some()
}

/// Has the server remember that a key matches its hash.
pub fn prove(client: &mut Client, key: &str) {
    let check =
        "SELECT apikey.check_key($1, NULL, k.tenant)::text FROM apikey.key AS k WHERE prefix = $2";
    let answer: Option<String> = client.query_one(check, &[&key, &&key[..8]]).unwrap().get(0);
    assert!(answer.is_some(), "{} is not valid", &key[..8]);
}

/// A row of `apikey_stats`: how often since the server started.
pub fn stat(client: &mut Client, name: &str) -> u64 {
    let value = format!("SELECT value FROM apikey_stats WHERE name = '{name}'");
    one(client, &value).unwrap().parse().unwrap()
}
