//! Who gets in: whoever proves to Postgres to be a role of it.

use apikey_tests::{Login, Office, eventually};

fn with_password(login: &Login, password: &str) -> Login {
    Login { role: login.role.clone(), password: password.to_owned() }
}

#[test]
fn wrong_ones_look_alike_and_no_log_has_the_password() {
    let office = Office::open(&[]);
    let wrong = with_password(&office.ada, "a wrong password");
    let nobody = Login { role: "nobody".to_owned(), password: "a wrong password".to_owned() };
    let answers = [wrong, nobody].map(|login| {
        let mut visitor = office.visitor();
        let answer = visitor.sign_in(&login);
        assert_eq!((answer.status(), answer.header("set-cookie")), (403, None));
        assert!(!answer.body.contains("a wrong password"));
        visitor.text()
    });
    assert!(answers[0].contains("The role or the password is wrong."), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
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

fn signs_in(office: &Office, login: &Login, address: &str) -> u16 {
    let header = format!("X-Forwarded-For: {address}");
    office.visitor_by_proxy(&[&header]).sign_in(login).status()
}

/// Guesses at Ada's password from where others sign in, too: it is she, from there, who has to
/// wait.
#[test]
fn guessing_at_one_role_holds_up_no_other_role_and_no_other_address() {
    let office = Office::open(&["--trusted-proxy", "127.0.0.1"]);
    let wrong = with_password(&office.ada, "wrong");
    for network in ["192.0.2.1", "2001:db8:1:2"] {
        let address = |n| match network.contains(':') {
            true => format!("{network}::{n:x}"),
            false => network.to_owned(),
        };
        for n in 0..10 {
            assert_eq!(signs_in(&office, &wrong, &address(n)), 403);
        }
        for n in 10..30 {
            assert_eq!(signs_in(&office, &wrong, &address(n)), 429);
        }
        let answer = signs_in(&office, &office.ada, &address(30));
        assert_eq!(answer, 429, "the right password is not tried either");
        assert_eq!(signs_in(&office, &office.audrey, &address(30)), 303);
    }
    for address in ["192.0.2.2", "2001:db8:1:3::1"] {
        assert_eq!(signs_in(&office, &office.ada, address), 303);
    }
}

/// How many are refused as wrong before one is refused as one too many. A try comes back every
/// 15 s, so that a slow machine gets some more.
fn tries(mut guess: impl FnMut(usize) -> u16) -> usize {
    for n in 0..200 {
        match guess(n) {
            403 => {}
            status => {
                assert_eq!(status, 429);
                return n;
            }
        }
    }
    panic!("200 guesses were not slowed down");
}

/// One password for many roles, and many addresses for one role: fifty tries.
#[test]
fn guessing_at_many_roles_or_from_many_addresses_is_slowed_down() {
    let office = Office::open(&["--trusted-proxy", "127.0.0.1"]);
    let roles = tries(|n| {
        let login = Login { role: format!("role {n}"), password: "wrong".to_owned() };
        signs_in(&office, &login, "198.51.100.1")
    });
    assert!(roles >= 50, "{roles}");
    assert_eq!(signs_in(&office, &office.audrey, "198.51.100.1"), 429);
    let wrong = with_password(&office.ada, "wrong");
    let addresses = tries(|n| signs_in(&office, &wrong, &format!("192.0.2.{n}")));
    assert!(addresses >= 50, "{addresses}");
    assert_eq!(signs_in(&office, &office.ada, "192.0.2.250"), 429);
    let mut told = office.visitor_by_proxy(&["X-Forwarded-For: 192.0.2.250"]);
    assert!(told.sign_in(&office.ada).body.contains("Too many attempts"), "{}", told.page);
    assert_eq!(signs_in(&office, &office.audrey, "192.0.2.250"), 303);
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
