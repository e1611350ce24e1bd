//! A session is worth what its role is worth now: its connection is replaced again and again by one
//! for which the role proves itself anew.

use apikey_tests::{Answer, Login, Office, Visitor, eventually};
use std::collections::BTreeSet;

/// Instead of a minute.
const SOON: [&str; 2] = ["--admin-recheck", "100ms"];

/// Asks on until the session has ended, and tells the page that says why.
fn end_of(visitor: &mut Visitor) -> Answer {
    let mut location = None;
    eventually("the session ends, though it is used", || {
        location = visitor.get("/keys").header("location").map(str::to_owned);
        location.is_some()
    });
    let location = location.unwrap();
    assert!(location.starts_with("/sign-in?back=%2Fkeys&ended="), "{location}");
    visitor.get(&location)
}

/// The page goes on without a word, on one connection after the other.
#[test]
fn whoever_may_stay_notices_nothing() {
    let office = Office::open(&SOON);
    let mut ada = office.desk_of(&office.ada);
    let mut backends = BTreeSet::new();
    eventually("there were five connections", || {
        assert_eq!(ada.get("/keys").status(), 200);
        let backend = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE application_name LIKE 'apikey-admin%'";
        backends.insert(office.sql(backend));
        backends.len() >= 5
    });
    // Sent as it was typed, on a new one.
    assert_eq!(ada.add("till").status(), 200);
    eventually("one that nobody uses is closed", || office.connections() == "0");
    assert_eq!(ada.get("/keys").status(), 200);
}

#[test]
fn whoever_may_not_log_in_any_more_is_out() {
    let mut office = Office::open(&SOON);
    for (name, change) in [
        ("password", "ALTER ROLE {} PASSWORD 'another'"),
        ("no_password", "ALTER ROLE {} PASSWORD NULL"),
        ("nologin", "ALTER ROLE {} NOLOGIN"),
        ("expired", "ALTER ROLE {} VALID UNTIL '2001-01-01'"),
        ("renamed", "ALTER ROLE {} RENAME TO somebody_else"),
        ("dropped", "DROP ROLE {}"),
    ] {
        let login = office.database.login(name, "IN ROLE apikey_manager");
        let mut desk = office.desk_of(&login);
        assert_eq!(desk.get("/keys").status(), 200, "{name}");
        let change = change.replace("{}", &login.role);
        office.database.superuser().batch_execute(&change).unwrap();
        let mut thief = desk.thief();
        let page = end_of(&mut desk);
        // What is left of a role that was dropped has no rights, which its next request shows, if
        // that comes before the next sign-in.
        let is_so = |why: &str| page.body.contains(why);
        let has_no_rights = name == "dropped" && is_so("Your role may not do anything here");
        assert!(has_no_rights || is_so("no longer lets your role in"), "{name}: {}", page.body);
        assert!(page.body.contains("was not done"), "{name}: {}", page.body);
        // It is gone, and not hidden: nothing brings it back.
        if name == "password" {
            let back = format!("ALTER ROLE {} PASSWORD '{}'", login.role, login.password);
            office.database.superuser().batch_execute(&back).unwrap();
            assert_eq!(thief.get("/keys").status(), 303);
            assert_eq!(desk.sign_in(&login).status(), 303);
            assert_eq!(desk.get("/keys").status(), 200);
        }
    }
    let restored = "ALTER ROLE somebody_else RENAME TO {}";
    let renamed = format!("{}_renamed", office.database.name);
    office.database.superuser().batch_execute(&restored.replace("{}", &renamed)).unwrap();
}

/// Also before its connection is replaced, where Postgres ended that.
#[test]
fn whoever_has_another_password_since_signs_in_again() {
    let office = Office::open(&[]);
    let mut bob = office.desk_of(&office.bob);
    office.database.superuser().batch_execute(
        "ALTER ROLE bob PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bob'",
    ).unwrap();
    let page = end_of(&mut bob);
    assert!(page.body.contains("no longer lets your role in"), "{}", page.body);
}

#[test]
fn whoever_may_not_do_anything_any_more_is_out() {
    let office = Office::open(&SOON);
    let mut ada = office.desk_of(&office.ada);
    assert_eq!(ada.get("/keys").status(), 200);
    let role = &office.ada.role;
    let revoke = format!("REVOKE apikey_manager FROM {role}");
    office.database.superuser().batch_execute(&revoke).unwrap();
    let page = end_of(&mut ada);
    assert!(page.body.contains("may not do anything here"), "{}", page.body);
}

/// What pg_hba.conf says now: a role that it does not let in, or lets in without a question.
#[test]
fn whom_the_server_does_not_ask_any_more_is_out() {
    for rule in ["reject", "trust"] {
        let office = Office::open(&SOON);
        let mut ada = office.desk_of(&office.ada);
        assert_eq!(ada.get("/keys").status(), 200);
        let (file, role) = (office.sql("SHOW hba_file"), &office.ada.role);
        let rules = format!(
            "COPY (VALUES ('host all {role} 127.0.0.1/32 {rule}'), ('host all all 127.0.0.1/32 scram-sha-256')) TO '{file}'"
        );
        office.database.superuser().batch_execute(&rules).unwrap();
        office.sql("SELECT pg_reload_conf()");
        end_of(&mut ada);
    }
}

/// A form that is sent by somebody whose password was changed meanwhile does nothing, and the page
/// says so.
#[test]
fn what_is_sent_too_late_is_not_done() {
    let office = Office::open(&SOON);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let Login { role, .. } = &office.ada;
    office.database.superuser().batch_execute(&format!("ALTER ROLE {role} NOLOGIN")).unwrap();
    eventually("the form comes too late", || {
        let once = "0".repeat(64);
        let fields = [("once", once.as_str()), ("name", ""), ("auth", "event")];
        let answer = ada.post("/keys/new", &fields);
        answer.header("location").is_some_and(|location| location.contains("ended=refused"))
    });
    assert_eq!(office.sql("SELECT count(*) FROM apikey.key"), "0");
}
