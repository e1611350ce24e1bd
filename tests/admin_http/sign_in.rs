//! Who gets in: whoever proves to Postgres to be a role of it.

use crate::office::Office;
use apikey_tests::{Login, eventually};

fn with_password(login: &Login, password: &str) -> Login {
    Login { role: login.role.clone(), password: password.to_owned() }
}

#[test]
fn wrong_ones_look_alike_and_no_log_has_the_password() {
    let office = Office::open(&[]);
    let wrong = with_password(&office.ada, "a wrong password");
    let nobody = Login { role: "nobody".to_owned(), password: "a wrong password".to_owned() };
    let answers = [wrong, nobody].map(|login| {
        let answer = office.visitor().sign_in(&login);
        assert_eq!(answer.header("set-cookie"), None);
        assert!(!answer.body.contains("a wrong password"));
        (answer.status(), answer.body.contains("The role or the password is wrong."))
    });
    assert_eq!(answers, [(403, true), (403, true)]);
    for (role, password) in [("", "x"), ("ada", ""), (&"r".repeat(64), "x")] {
        let login = Login { role: role.to_owned(), password: password.to_owned() };
        assert_eq!(office.visitor().sign_in(&login).status(), 403, "{role}");
    }
    office.desk_of(&office.ada);
    for log in [office.shim.log(), office.database.cluster.log()] {
        assert!(!log.contains("a wrong password") && !log.contains(&office.ada.password));
    }
    assert!(office.shim.log().contains("signed in to the admin page"));
}

/// By role: ten tries, wherever they come from.
#[test]
fn guessing_is_throttled_by_role_and_by_address() {
    let office = Office::open(&["--trusted-proxy", "127.0.0.1"]);
    let guess = |login: &Login, address: &str| {
        let header = format!("X-Forwarded-For: {address}");
        office.visitor_by_proxy(&[&header]).sign_in(login).status()
    };
    let wrong = with_password(&office.ada, "wrong");
    for n in 0..10 {
        assert_eq!(guess(&wrong, &format!("192.0.2.{n}")), 403);
    }
    assert_eq!(guess(&office.ada, "192.0.2.99"), 429, "the right password is not tried either");
    assert_eq!(guess(&office.audrey, "192.0.2.99"), 303, "others are not concerned");
    for n in 0..10 {
        let login = Login { role: format!("role {n}"), password: "wrong".to_owned() };
        assert_eq!(guess(&login, "198.51.100.1"), 403);
    }
    assert_eq!(guess(&office.audrey, "198.51.100.1"), 429);
}

/// `trust` in `pg_hba.conf` would make anybody anybody.
#[test]
fn a_database_that_asks_for_no_password_lets_nobody_in() {
    let office = Office::open(&[]);
    let file = office.sql("SHOW hba_file");
    office
        .database
        .superuser()
        .batch_execute(&format!("COPY (SELECT 'host all all 127.0.0.1/32 trust') TO '{file}'"))
        .unwrap();
    office.sql("SELECT pg_reload_conf()");
    eventually("nobody is asked for a password", || {
        let answer = office.visitor().sign_in(&with_password(&office.ada, "anything"));
        assert_ne!(answer.status(), 303);
        answer.body.contains("without a password")
    });
    let answer = office.visitor().sign_in(&office.ada);
    assert_eq!(answer.status(), 403, "not even with the right one, which nobody looked at");
}

#[test]
fn a_role_that_has_no_place_here_is_told_so() {
    let office = Office::open(&[]);
    let name = &office.database.name;
    office
        .database
        .superuser()
        .batch_execute(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"))
        .unwrap();
    let answer = office.visitor().sign_in(&office.stranger);
    assert_eq!(answer.status(), 403);
    assert!(answer.body.contains("may not connect to this database"), "{}", answer.body);
}
