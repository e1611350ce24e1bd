//! `ip_request` and `ip_valid`.

use apikey_tests::{Database, one};

#[test]
fn rules() {
    let database = Database::new();
    let mut client = database.superuser();
    for (rule, address, shown, valid) in [
        ("NULL", "NULL", "null", true),
        ("NULL", "'12.34.56.78'", "\"12.34.56.78\"", true),
        ("'{12.34.56.78}'", "'12.34.56.78'", "\"12.34.56.78\"", true),
        ("'{12.34.56.78}'", "'12.34.56.79'", "\"12.34.56.79\"", false),
        ("'{12.34.56.78}'", "NULL", "null", false),
        ("'{10.0.0.0/8}'", "'10.255.255.255'", "\"10.255.255.255\"", true),
        ("'{10.0.0.0/8}'", "'11.0.0.0'", "\"11.0.0.0\"", false),
        ("'{10.1.2.3/8}'", "'10.9.9.9'", "\"10.9.9.9\"", true),
        ("'{10.0.0.0/8,192.0.2.7}'", "'192.0.2.7'", "\"192.0.2.7\"", true),
        ("'{10.0.0.0/8,192.0.2.7}'", "'192.0.2.8'", "\"192.0.2.8\"", false),
        ("'{2001:db8::/32}'", "'2001:db8::1'", "\"2001:db8::1\"", true),
        ("'{2001:db8::/32}'", "'2001:db9::1'", "\"2001:db9::1\"", false),
        ("'{2001:db8::/32}'", "'10.0.0.1'", "\"10.0.0.1\"", false),
        ("'{12.34.56.78}'", "'::ffff:12.34.56.78'", "\"12.34.56.78\"", true),
        ("'{::ffff:12.34.0.0/112}'", "'12.34.56.78'", "\"12.34.56.78\"", true),
        ("'{::/0}'", "'12.34.56.78'", "\"12.34.56.78\"", false),
        ("'{0.0.0.0/0}'", "'255.255.255.255'", "\"255.255.255.255\"", true),
        ("NULL", "'10.1.2.3/8'", "\"10.1.2.3\"", true),
    ] {
        let key = database.key(&format!("'event', ips => {rule}"));
        let answer = one(&mut client, &format!("SELECT apikey_check('{key}', {address})"));
        let expected = format!(r#"{{"auth":"event","ip_request":{shown},"ip_valid":{valid}}}"#);
        assert_eq!(answer.as_deref(), Some(&*expected), "{rule} from {address}");
    }
}

/// For rules and addresses of one family the answer is that of Postgres's own `<<=`.
#[test]
fn postgres_agrees() {
    let database = Database::new();
    let mut client = database.superuser();
    let bytes = |count: u32, glue: &str, format: &str| {
        (0..count).map(|_| format!("' || {format} || '")).collect::<Vec<_>>().join(glue)
    };
    let v4 = bytes(4, ".", "(random() * 3)::int");
    let v6 = bytes(8, ":", "to_hex((random() * 3)::int)");
    for (host, bits) in [(v4, 32), (v6, 128)] {
        client
            .batch_execute(&format!(
                "CREATE TABLE pair AS
                 SELECT ('{host}' || '/' || (random() * {bits})::int)::inet AS rule, ('{host}')::inet AS address
                   FROM generate_series(1, 200)"
            ))
            .unwrap();
        let key = database.key("'event', '0.0.0.0'");
        client
            .batch_execute(&format!(
                "DO $$
                 DECLARE p record; answer json;
                 BEGIN
                     FOR p IN TABLE pair LOOP
                         UPDATE apikey.key SET allowed_ips = ARRAY[p.rule] WHERE prefix = '{}';
                         answer := apikey_check('{key}', p.address);
                         ASSERT (answer->>'ip_valid')::boolean = (p.address <<= p.rule), p;
                         ASSERT answer->>'ip_request' = host(p.address), p;
                     END LOOP;
                 END $$;
                 DROP TABLE pair",
                &key[..8]
            ))
            .unwrap();
    }
}
