//! Changing a key, and two people at it.

use apikey_tests::{Answer, Office, Visitor, shown_key};

/// Sends the form as the page has it, with these fields changed.
fn save(desk: &mut Visitor, prefix: &str, fields: &[(&str, &str)]) -> Answer {
    let (version, once) = (desk.hidden("version"), desk.hidden("once"));
    let fixed = [("version", version.as_str()), ("once", &once)];
    desk.post(&format!("/keys/{prefix}"), &[&fixed, fields].concat())
}

#[test]
fn two_people_edit_one_key_and_neither_loses_work() {
    let office = Office::open(&[]);
    let key = office.database.key("'event', owner => 'south', ips => '{192.0.2.1}'");
    let (prefix, page) = (&key[..8], format!("/keys/{}", &key[..8]));
    let (mut ada, mut bob) = (office.desk_of(&office.ada), office.desk_of(&office.bob));
    ada.get(&page);
    bob.get(&page);
    let row = || office.sql("SELECT name || allowed_ips::text FROM apikeys");
    let ips = ("ips", "192.0.2.1");
    let changed = [("name", "by Ada"), ("auth", "event"), ("owner", "south"), ips];
    assert_eq!(save(&mut ada, prefix, &changed).status(), 303);
    assert_eq!(row(), "by Ada{192.0.2.1}");
    // Bob saw the key as it was before.
    let also = [("name", "by Bob"), ("auth", "event"), ("owner", "south"), ("ips", "10.0.0.0/8")];
    let answer = save(&mut bob, prefix, &also);
    assert_eq!(answer.status(), 409);
    assert!(answer.body.contains("Somebody else has changed this key"), "{}", answer.body);
    assert!(answer.body.contains("In the database: <code>by Ada</code>"), "{}", answer.body);
    assert!(answer.body.contains("value=\"by Bob\"") && answer.body.contains(">10.0.0.0/8<"));
    assert_eq!(row(), "by Ada{192.0.2.1}");
    assert_eq!(save(&mut bob, prefix, &also).status(), 303, "having seen it");
    assert_eq!(row(), "by Bob{10.0.0.0/8}");
    let trail = "SELECT string_agg(session_role, ' ' ORDER BY at) FROM apikey_events WHERE action = 'change'";
    assert_eq!(office.sql(trail), "ada bob");
}

#[test]
fn who_edits_a_key_that_was_revoked_meanwhile_is_told() {
    let office = Office::open(&[]);
    let key = office.database.key("'event', owner => 'south'");
    let mut ada = office.desk_of(&office.ada);
    ada.get(&format!("/keys/{}", &key[..8]));
    office.sql(&format!("SELECT apikey_revoke('{key}', 'laptop stolen')"));
    let changed = [("name", "another"), ("auth", "event"), ("owner", "south")];
    let answer = save(&mut ada, &key[..8], &changed);
    assert_eq!(answer.status(), 409);
    assert!(answer.body.contains("laptop stolen"), "{}", answer.body);
    assert_ne!(office.sql("SELECT name FROM apikeys"), "another");
}

/// One revokes while the other has the page open: the box must not come to mean the opposite.
#[test]
fn the_box_does_only_what_the_page_said() {
    let office = Office::open(&[]);
    let key = office.database.key("'event', owner => 'south'");
    let (prefix, page) = (&key[..8], format!("/keys/{}", &key[..8]));
    let mut ada = office.desk_of(&office.ada);
    ada.get(&page);
    let name = office.sql("SELECT name FROM apikeys");
    let ticked =
        [("name", name.as_str()), ("auth", "event"), ("owner", "south"), ("create_revoke", "1")];
    office.sql(&format!("SELECT apikey_revoke('{prefix}')"));
    let answer = save(&mut ada, prefix, &ticked);
    assert_eq!((answer.status(), shown_key(&answer)), (409, None));
    assert_eq!(office.sql("SELECT count(*) FROM apikeys"), "1");

    // On the page of a revoked key, it makes a new one with the same rights.
    ada.get(&page);
    let answer = save(&mut ada, prefix, &ticked);
    let new = shown_key(&answer).unwrap().to_owned();
    assert_eq!(office.shim.ask(&new).status(), 200);
    // On the page of a live one, it ends it, and saves what else was changed.
    ada.get(&format!("/keys/{}", &new[..8]));
    let renamed =
        [("name", "renamed"), ("auth", "event"), ("owner", "south"), ("create_revoke", "1")];
    assert!(!ada.page.contains("value=\"1\" checked"), "it is a button, not a state");
    assert_eq!(save(&mut ada, &new[..8], &renamed[..3]).status(), 303);
    assert_eq!(office.shim.ask(&new).status(), 200, "without a tick");
    ada.get(&format!("/keys/{}", &new[..8]));
    assert_eq!(save(&mut ada, &new[..8], &renamed).status(), 303);
    assert_eq!(office.shim.ask(&new).status(), 401);
    let of_new = format!("SELECT name || revoked_by FROM apikeys WHERE prefix = '{}'", &new[..8]);
    assert_eq!(office.sql(&of_new), format!("renamed{}", office.ada.role));
}

/// A key that is saved as it is stays as it is: its shape of auth, its seconds, a scope that was
/// retired.
#[test]
fn saving_without_a_change_changes_nothing() {
    let office = Office::open(&[]);
    let sql = "SELECT apikey_create('till', '{\"event\":true,\"ticket\":false}'::jsonb, owner => 'south',
                   ips => '{10.0.0.1,2001:db8::/32}', expires_at => now() + interval '1 year 7 seconds')";
    let prefix = office.sql(sql)[..8].to_owned();
    let scope = "INSERT INTO apikey.scope VALUES ('other', 'Others')";
    office.database.superuser().batch_execute(scope).unwrap();
    let mut ada = office.desk_of(&office.ada);
    ada.get(&format!("/keys/{prefix}"));
    let expires = ada.hidden("expires_at");
    let fields = [
        ("name", "till"),
        ("scope", "event"),
        ("ips", "10.0.0.1\n2001:db8::/32"),
        ("expires_at", expires.as_str()),
        ("owner", "south"),
    ];
    assert_eq!(save(&mut ada, &prefix, &fields).status(), 303);
    assert!(ada.get(&format!("/keys/{prefix}")).body.contains("nothing to change"));
    assert_eq!(office.sql("SELECT count(*) FROM apikey_events"), "1");
}

/// It is not lost by emptying a field.
#[test]
fn an_owner_stays_unless_another_is_named() {
    let office = Office::open(&[]);
    let key = office.database.key("'event', owner => 'south'");
    let name = office.sql("SELECT name FROM apikeys");
    let mut ada = office.desk_of(&office.ada);
    ada.get(&format!("/keys/{}", &key[..8]));
    let without = [("name", name.as_str()), ("auth", "event"), ("owner", " ")];
    let answer = save(&mut ada, &key[..8], &without);
    assert_eq!(answer.status(), 422);
    assert!(answer.body.contains("Enter an owner."), "{}", answer.body);
    let another = [("name", name.as_str()), ("auth", "event"), ("owner", "north")];
    assert_eq!(save(&mut ada, &key[..8], &another).status(), 303);
    assert_eq!(office.sql("SELECT owner FROM apikeys"), "north");
}

#[test]
fn what_is_wrong_is_said_at_its_field_and_kept() {
    let office = Office::open(&[]);
    let scope = "INSERT INTO apikey.scope VALUES ('event', 'See events')";
    office.database.superuser().batch_execute(scope).unwrap();
    office.database.key("'event', owner => 'south'");
    let taken = office.sql("SELECT name FROM apikeys");
    let mut ada = office.desk_of(&office.ada);
    for (field, value, said) in [
        ("name", "", "Give the key a name."),
        ("name", taken.as_str(), "already has a key with this name"),
        ("ips", "10.0.0.0/33", "Not an address or network: 10.0.0.0/33"),
        ("expires_at", "2027-02-31T10:00", "Enter a date and time"),
        ("expires_at", "2020-01-01T10:00", "Choose a date in the future."),
        ("scope", "no such scope", "A level has 1 to 64 of the characters"),
        ("scope", "nonesuch", "The database does not know this level."),
        ("tenant", &"t".repeat(201), "Use at most 200 characters."),
        ("create_revoke", "", "Tick this to create the key."),
    ] {
        ada.get("/keys/new");
        let once = ada.hidden("once");
        let mut fields = vec![
            ("once", once.as_str()),
            ("name", "new"),
            ("owner", "south"),
            ("scope", "event"),
            ("create_revoke", "1"),
        ];
        fields.retain(|(name, _)| *name != field);
        if field != "create_revoke" {
            fields.push((field, value));
        }
        let answer = ada.post("/keys/new", &fields);
        assert_eq!(answer.status(), 422, "{field}={value}: {}", answer.body);
        assert!(answer.body.contains(said), "{field}={value}: {}", answer.body);
        assert!(answer.body.contains("value=\"south\""), "{field}: the rest is kept");
    }
    assert_eq!(office.sql("SELECT count(*) FROM apikeys"), "1");
}

/// All that is wrong is said at once, and the next try makes the key.
#[test]
fn nothing_typed_is_lost() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let once = ada.hidden("once");
    let wrong = [
        ("once", once.as_str()),
        ("auth", "event"),
        ("ips", "10.0.0.0/33"),
        ("create_revoke", "1"),
    ];
    let answer = ada.post("/keys/new", &wrong);
    assert_eq!(answer.status(), 422);
    let said = |field: &str| {
        let start = format!("id=\"{field}-error\">");
        answer.body.split_once(&start).unwrap_or_else(|| panic!("{field}: {}", answer.body)).1
    };
    assert!(said("ips").split('<').next().unwrap().contains("10.0.0.0/33"), "{}", said("ips"));
    assert!(!said("name").starts_with('<'));
    assert!(answer.body.contains(">10.0.0.0/33</textarea>"), "{}", answer.body);
    assert!(answer.body.contains("name=\"create_revoke\" value=\"1\" checked"), "the tick, too");
    let once = ada.hidden("once");
    let right = [
        ("once", once.as_str()),
        ("name", "box office"),
        ("auth", "event"),
        ("ips", "10.0.0.0/8\n2001:db8::/32"),
        ("create_revoke", "1"),
    ];
    let answer = ada.post("/keys/new", &right);
    assert_eq!(shown_key(&answer).map(str::len), Some(41), "{}", answer.body);
    assert_eq!(office.sql("SELECT allowed_ips FROM apikey.key"), "{10.0.0.0/8,2001:db8::/32}");
}

/// Where the DBA keeps the scopes, one chooses among them.
#[test]
fn known_scopes_are_boxes_to_tick() {
    let office = Office::open(&[]);
    let scopes = "INSERT INTO apikey.scope VALUES ('event', 'See events'), ('ticket', 'Sell tickets'), ('till', 'Open the till')";
    office.database.superuser().batch_execute(scopes).unwrap();
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    for (at, scope, label) in [(0, "event", "See events"), (1, "ticket", "Sell tickets")] {
        let field = format!("id=\"scope-{at}\" type=\"checkbox\" name=\"scope\" value=\"{scope}\"");
        let label = format!("for=\"scope-{at}\"><code>{scope}</code> {label}</label>");
        assert!(ada.page.contains(&field) && ada.page.contains(&label), "{}", ada.page);
    }
    let once = ada.hidden("once");
    let fields = [
        ("once", once.as_str()),
        ("name", "box office"),
        ("scope", "event"),
        ("scope", "ticket"),
        ("create_revoke", "1"),
    ];
    assert_eq!(ada.post("/keys/new", &fields).status(), 200);
    assert_eq!(office.sql("SELECT auth FROM apikey.key"), r#"["event", "ticket"]"#);
}
