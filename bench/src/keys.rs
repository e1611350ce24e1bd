//! Keys: real ones, what is sent instead of them, and rows that only fill the table.

use apikey_tests::Database;
use postgres::Client;

/// New keys for this machine's address. They cost what the settings of the connection say.
pub fn create(client: &mut Client, label: &str, count: usize) -> Vec<String> {
    eprintln!("Making {count} keys ({label}) ...");
    let sql = "SELECT apikey_create($1 || ' ' || i, 'event', '127.0.0.1') FROM generate_series(1, $2::int) AS i";
    let rows = client.query(sql, &[&label, &i32::try_from(count).unwrap()]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

pub fn prefix(key: &str) -> &str {
    &key[..8]
}

/// A key with a prefix that no row has.
pub fn unknown_prefix(key: &str) -> String {
    let secret = &key[9..];
    format!("{}.{secret}", &secret[..8])
}

/// Checks each, so that its proof is known, and says how many are valid.
pub fn count_valid(client: &mut Client, keys: &[String]) -> usize {
    let sql = "SELECT count(*) FROM unnest($1::text[]) AS k WHERE apikey_check(k, '127.0.0.1') IS NOT NULL";
    let count: i64 = client.query_one(sql, &[&keys]).unwrap().get(0);
    usize::try_from(count).unwrap()
}

/// Has new keys cost what they cost unless somebody changes the settings.
pub fn set_default_cost(client: &mut Client) {
    let sql = "SELECT set_config(name, boot_val, false) FROM pg_settings WHERE name LIKE 'apikey.argon2%'";
    assert_eq!(client.query(sql, &[]).unwrap().len(), 3);
}

/// Adds rows until the table has so many: with random prefixes as real keys have, and made-up
/// verifiers, which no key matches. No trigger runs, and so no event is written.
pub fn fill(database: &Database, size: u64) {
    const STEP: i64 = 500_000;
    let mut client = database.superuser();
    client.batch_execute("ALTER TABLE apikey.key DISABLE TRIGGER USER").unwrap();
    let mut rows: i64 = client.query_one("SELECT count(*) FROM apikey.key", &[]).unwrap().get(0);
    let size = i64::try_from(size).unwrap();
    let mut name = rows;
    while rows < size {
        eprintln!("Filling the table: {rows} of {size} rows ...");
        let step = STEP.min(size - rows);
        let inserted = client.execute(MADE_UP, &[&name, &(name + step - 1)]).unwrap();
        rows += i64::try_from(inserted).unwrap();
        name += step;
    }
    eprintln!("VACUUM, ANALYZE, CHECKPOINT ...");
    for sql in ["VACUUM (ANALYZE) apikey.key", "CHECKPOINT"] {
        client.batch_execute(sql).unwrap();
    }
}

/// The first 7 characters of a random UUID's Base64 are random, and so are the 22 of its whole.
/// Among ten million prefixes two are often the same.
const MADE_UP: &str = "
    INSERT INTO apikey.key (prefix, verifier, name, owner, auth, created_at)
    SELECT chr(65 + floor(random() * 26)::int)
               || substr(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', 'xy'), 1, 7),
           '$argon2id$v=19$m=19456,t=2,p=1$' || rtrim(encode(uuid_send(gen_random_uuid()), 'base64'), '=')
               || '$' || rtrim(encode(sha256(i::text::bytea), 'base64'), '='),
           'made up ' || i, 'benchmark', '\"event\"', now() - interval '1 day'
      FROM generate_series($1::bigint, $2::bigint) AS i
        ON CONFLICT (prefix) DO NOTHING";
