//! The database goes away while somebody is signed in, and comes back.

use apikey_tests::{Office, eventually, shown_key};

#[test]
fn an_outage_is_a_plain_page_and_nothing_is_lost() {
    let office = Office::open(&["--request-timeout", "2s"]);
    let old = office.database.key("'event', owner => 'south'");
    let mut ada = office.desk_of(&office.ada);
    let page = format!("/keys/{}", &old[..8]);
    ada.get(&page);
    let version = ada.hidden("version");
    let changes = [("name", "a new name"), ("auth", "event"), ("owner", "south")];
    let changes = [&[("version", version.as_str())], &changes[..]].concat();
    ada.get("/keys/new");
    let (csrf, once) = (ada.csrf.clone(), ada.hidden("once"));
    let fields =
        [("once", once.as_str()), ("name", "till"), ("auth", "event"), ("create_revoke", "1")];

    office.database.cluster.stop();
    for answer in [
        ada.get("/keys"),
        ada.post_with(&csrf, "/keys/new", &fields),
        ada.post_with(&csrf, &page, &changes),
    ] {
        assert_eq!(answer.status(), 503);
        assert!(answer.header("retry-after").is_some());
        assert!(answer.body.contains("cannot be reached at the moment"), "{}", answer.body);
        assert!(answer.body.contains("You stay signed in"), "{}", answer.body);
        for detail in ["127.0.0.1", "refused", "os error"] {
            assert!(!answer.body.contains(detail), "{}", answer.body);
        }
    }
    assert_eq!(office.visitor().sign_in(&office.ada).status(), 503);

    office.database.cluster.start();
    // The same forms, by a reload: it is done now.
    assert_eq!(ada.post_with(&csrf, &page, &changes).status(), 303);
    assert!(ada.get("/keys").body.contains("a new name"), "{}", ada.page);
    let answer = ada.post_with(&csrf, "/keys/new", &fields);
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let key = shown_key(&answer).unwrap();
    eventually("the shim checks keys again", || office.shim.ask(key).status() == 200);
}

/// Postgres ended the connection, as an administrator may.
#[test]
fn a_connection_that_was_ended_is_opened_again() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    for _ in 0..3 {
        assert_eq!(office.connections(), "1");
        let end =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'ada'";
        assert_eq!(office.sql(end), "1");
        let answer = ada.get("/keys");
        assert_eq!(answer.status(), 200);
        assert!(answer.body.contains("ADD API KEY"), "{}", answer.body);
    }
}

/// Somebody else holds the row.
#[test]
fn what_takes_too_long_is_given_up() {
    let office = Office::open(&["--request-timeout", "1s"]);
    let key = office.database.key("'event'");
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    let mut holding = office.database.superuser();
    holding.batch_execute("BEGIN; UPDATE apikey.key SET metadata = '{\"a\": 1}'").unwrap();
    let answer = ada.post(&format!("/keys/{}/disable", &key[..8]), &[]);
    assert_eq!(answer.status(), 503);
    assert!(answer.body.contains("took too long"), "{}", answer.body);
    holding.batch_execute("COMMIT").unwrap();
    eventually("the page works again", || ada.get("/keys").status() == 200);
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");
}
