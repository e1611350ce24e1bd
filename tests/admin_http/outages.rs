//! The database goes away while somebody is signed in, and comes back.

use crate::office::{Office, shown_key};
use apikey_tests::eventually;

#[test]
fn an_outage_is_a_plain_page_and_nothing_is_lost() {
    let office = Office::open(&["--request-timeout", "2s"]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let (csrf, once) = (ada.csrf.clone(), ada.hidden("once"));
    let fields =
        [("once", once.as_str()), ("name", "till"), ("auth", "event"), ("create_revoke", "1")];

    office.database.cluster.stop();
    for answer in [ada.get("/keys"), ada.post_with(&csrf, "/keys/new", &fields)] {
        assert_eq!(answer.status(), 503);
        assert!(answer.header("retry-after").is_some());
        assert!(answer.body.contains("cannot be reached at the moment"), "{}", answer.body);
        assert!(answer.body.contains("You stay signed in"), "{}", answer.body);
        assert!(!answer.body.contains("127.0.0.1") && !answer.body.contains("refused"));
    }
    assert_eq!(office.visitor().sign_in(&office.ada).status(), 503);

    office.database.cluster.start();
    // The same form, by a reload: it is done now.
    let answer = ada.post_with(&csrf, "/keys/new", &fields);
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let key = shown_key(&answer).unwrap();
    eventually("the shim checks keys again", || office.shim.ask(key).status() == 200);
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
