//! Keys that the table takes and nobody would type: listed, shown and changed like any other.

use apikey_tests::{Answer, AnyKeys, Office, Visitor};

/// The whole row as SQL sees it.
fn row(office: &Office, prefix: &str, but_for: &str) -> String {
    let query =
        format!("SELECT to_jsonb(k) - '{but_for}' FROM apikey.key AS k WHERE prefix = '{prefix}'");
    office.sql(&query)
}

/// The form of the key as a browser sends it back, with another name if one is given.
fn save(office: &Office, desk: &mut Visitor, prefix: &str, name: Option<&str>) -> Answer {
    let field = |expression: &str| {
        office.sql(&format!("SELECT {expression} FROM apikey.key WHERE prefix = '{prefix}'"))
    };
    let line = |column: &str| field(&format!("translate({column}, E'\\r\\n', '')"));
    let named = name.map_or_else(|| line("name"), str::to_owned);
    let owner = line("owner");
    let auth = field(
        "(SELECT string_agg(v #>> '{}', ', ') FROM jsonb_path_query(auth, '$[*]') AS a (v) WHERE jsonb_typeof(auth) <> 'object')",
    );
    let granted = field(
        "(SELECT string_agg(m.key, ', ') FROM jsonb_each(CASE jsonb_typeof(auth) WHEN 'object' THEN auth ELSE '{}' END) AS m WHERE m.value = 'true')",
    );
    let ips = field("array_to_string(allowed_ips, E'\\n')");
    let expires_at = shown(&desk.page, "id=\"expires_at\"");
    let (version, once) = (desk.hidden("version"), desk.hidden("once"));
    let auth = format!("{auth}{granted}");
    let fields = [
        ("version", version.as_str()),
        ("once", &once),
        ("name", &named),
        ("auth", &auth),
        ("ips", &ips),
        ("expires_at", &expires_at),
        ("owner", &owner),
    ];
    desk.post(&format!("/keys/{prefix}"), &fields)
}

/// What the field has, as far as nothing in it is escaped.
fn shown(page: &str, field: &str) -> String {
    let (before, after) = page.split_once(field).unwrap_or_else(|| panic!("no {field}"));
    let start = before.rfind('<').unwrap();
    let tag = format!("{}{field}{}", &before[start..], after.split_once('>').unwrap().0);
    tag.split_once("value=\"").map_or("", |(_, value)| value.split_once('"').unwrap().0).to_owned()
}

#[test]
fn any_key_is_listed_shown_and_changed() {
    let office = Office::open(&[]);
    let mut desk = office.desk_of(&office.ada);
    let mut random = AnyKeys::new();
    let keys: Vec<_> = (0..30)
        .map(|_| {
            let key = random.draw();
            office.database.superuser().batch_execute(&key.insert).unwrap();
            key
        })
        .collect();
    let infinite = "INSERT INTO apikey.event (at, action, prefix, changed) VALUES
        ('infinity', 'change', 'Map0K71T', '{}'), ('-infinity', 'change', 'Map0K71T', '{}'), ('4714-12-01 BC', 'change', 'Map0K71T', '[]')";
    office.database.superuser().batch_execute(infinite).unwrap();
    for sort in
        ["name", "-name", "owner", "tenant", "status", "expires_at", "last_used_at", "-created_at"]
    {
        let answer = desk.get(&format!("/keys?sort={sort}"));
        assert_eq!(answer.status(), 200, "{sort}: {}", answer.body);
        for key in &keys {
            assert!(answer.body.contains(&key.key[..8]), "{sort}: {}", key.insert);
        }
    }
    assert_eq!(desk.get("/events").status(), 200);
    for key in &keys {
        let (prefix, insert) = (&key.key[..8], &key.insert);
        let trail = desk.get(&format!("/keys/{prefix}/events"));
        assert_eq!(trail.status(), 200, "{insert}");
        let answer = desk.get(&format!("/keys/{prefix}"));
        assert_eq!(answer.status(), 200, "{insert}");
        let before = row(&office, prefix, "");
        let answer = save(&office, &mut desk, prefix, None);
        assert_eq!(answer.status(), 303, "{insert}: {}", answer.body);
        assert_eq!(row(&office, prefix, ""), before, "saving it unchanged changed it");

        desk.get(&format!("/keys/{prefix}"));
        let before = row(&office, prefix, "name");
        let name = format!("renamed {prefix}");
        let answer = save(&office, &mut desk, prefix, Some(&name));
        assert_eq!(answer.status(), 303, "{insert}: {}", answer.body);
        assert_eq!(row(&office, prefix, "name"), before, "{insert}");
        let named = format!("SELECT name FROM apikey.key WHERE prefix = '{prefix}'");
        assert_eq!(office.sql(&named), name);
        // Who filters by an owner gets that owner's keys.
        let owner = office.sql(&format!("SELECT owner FROM apikey.key WHERE prefix = '{prefix}'"));
        let owner = format!("owner={owner}");
        let found = desk.ask("/keys", &["--get", "--data-urlencode", &owner]);
        assert!(found.status() == 200 && found.body.contains(prefix), "{insert}");
        for action in ["disable", "enable", "revoke"] {
            let answer = desk.post(&format!("/keys/{prefix}/{action}"), &[("reason", "\u{202e}")]);
            assert!([303, 409].contains(&answer.status()), "{action}: {insert}: {}", answer.body);
            assert_eq!(desk.get(&format!("/keys/{prefix}")).status(), 200, "{action}: {insert}");
        }
        let ended =
            format!("SELECT revoked_at IS NOT NULL FROM apikey.key WHERE prefix = '{prefix}'");
        assert_eq!(office.sql(&ended), "t");
    }
}
