//! Roles that may do less than a manager.

use apikey_tests::Office;

/// He may ask whether keys are valid, and nothing else.
#[test]
fn a_stranger_reads_a_sentence_and_does_nothing() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let (prefix, name) = (&key[..8], office.sql("SELECT name FROM apikeys"));
    let page = format!("/keys/{prefix}");
    let trail = format!("{page}/events");
    for (language, sentence) in [("fr", "n’a pas le droit"), ("en", "Your role may not")] {
        let mut stranger = office.visitor_speaking(language);
        assert_eq!(stranger.sign_in(&office.chester).status(), 303);
        for path in ["/keys", "/keys/new", "/events", &page, &trail] {
            assert_eq!(stranger.get(path).status(), 403, "{path}");
            let text = stranger.text();
            assert!(text.contains(sentence), "{path}: {text}");
            for secret in ["permission denied", "42501", "SELECT", prefix, &name] {
                assert!(!text.contains(secret), "{path}: {text}");
            }
            assert!(!text.contains("API KEY"), "no button that would do nothing");
        }
    }
    let mut stranger = office.desk_of(&office.chester);
    stranger.get("/keys");
    for action in ["", "/revoke", "/disable", "/enable"] {
        assert_eq!(stranger.post(&format!("/keys/{prefix}{action}"), &[]).status(), 403);
    }
    let once = "0".repeat(64);
    let rotate = [("grace", "0"), ("once", once.as_str())];
    assert_eq!(stranger.post(&format!("/keys/{prefix}/rotate"), &rotate).status(), 403);
    let create = [("once", once.as_str()), ("name", "a"), ("auth", "a"), ("create_revoke", "1")];
    assert_eq!(stranger.post("/keys/new", &create).status(), 403);
    assert_eq!(office.sql("SELECT count(*) || min(status) FROM apikeys"), "1active");
}

#[test]
fn an_auditor_sees_and_changes_nothing() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let page = format!("/keys/{}", &key[..8]);
    let mut audrey = office.desk_of(&office.audrey);
    for path in ["/keys", "/events", &page, &format!("{page}/events")] {
        let answer = audrey.get(path);
        assert_eq!(answer.status(), 200, "{path}");
        assert!(!answer.body.contains("ADD API KEY") && !answer.body.contains("Create / Revoke"));
        assert!(answer.body.contains(&key[..8]), "{path}");
        let main = answer.body.split_once("<main").unwrap().1;
        let buttons = main.split("<button").skip(1).map(|button| button.split("</button>").next());
        let buttons: Vec<_> = buttons.flatten().collect();
        for action in ["Save", "Revoke", "Disable", "Rotate"] {
            assert!(!buttons.iter().any(|button| button.contains(action)), "{buttons:?}");
        }
    }
    let new = audrey.get("/keys/new");
    assert!(new.status() == 403 && new.body.contains("may not"), "{}", new.body);
    assert_eq!(audrey.post(&format!("{page}/revoke"), &[]).status(), 403);
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");
}

#[test]
fn a_role_without_rights_is_told_so_and_stays_out() {
    let office = Office::open(&[]);
    for (language, sentence) in [("en", "may not do anything here"), ("fr", "de rien faire ici")] {
        let mut visitor = office.visitor_speaking(language);
        let answer = visitor.sign_in(&office.stranger);
        assert_eq!(answer.status(), 403);
        assert!(answer.body.contains(sentence), "{}", answer.body);
        let location = visitor.get("/keys").header("location").map(str::to_owned);
        assert!(location.is_some_and(|location| location.starts_with("/sign-in")));
    }
}

/// What was done is noted under the role that signed in, with where the person was.
#[test]
fn the_trail_says_who() {
    let office = Office::open(&["--trusted-proxy", "127.0.0.1"]);
    let mut ada = office.visitor_by_proxy(&["X-Forwarded-For: 192.0.2.7"]);
    assert_eq!(ada.sign_in(&office.ada).status(), 303);
    assert_eq!(ada.add("till").status(), 200);
    assert_eq!(
        office.sql("SELECT session_role || ' ' || application_name FROM apikey_events"),
        format!("{} apikey-admin for 192.0.2.7", office.ada.role)
    );
}

/// Objects of somebody who may create some in the public schema stand for nothing here.
#[test]
fn nobody_slips_in_functions_of_his_own() {
    let office = Office::open(&[]);
    office
        .database
        .superuser()
        .batch_execute(
            "CREATE SCHEMA traps; GRANT USAGE ON SCHEMA traps TO PUBLIC;
             CREATE TABLE traps.caught (what text); GRANT INSERT ON traps.caught TO PUBLIC;
             CREATE FUNCTION traps.lower(text) RETURNS text LANGUAGE sql AS
                 'INSERT INTO traps.caught VALUES ($1) RETURNING what';
             CREATE FUNCTION traps.apikey_create(text, jsonb) RETURNS text LANGUAGE sql AS
                 'INSERT INTO traps.caught VALUES ($1) RETURNING what'",
        )
        .unwrap();
    let role = &office.ada.role;
    let path = format!("ALTER ROLE {role} SET search_path = traps, pg_catalog, public");
    office.database.superuser().batch_execute(&path).unwrap();
    let mut ada = office.desk_of(&office.ada);
    assert_eq!(ada.get("/keys?q=a&sort=name").status(), 200);
    assert_eq!(ada.add("till").status(), 200);
    assert_eq!(office.sql("SELECT count(*) FROM traps.caught"), "0");
}

/// `CREATE EXTENSION apikey SCHEMA …`, under a name that needs quotes.
#[test]
fn the_extension_is_found_wherever_it_is() {
    let office = Office::open(&[]);
    office
        .database
        .superuser()
        .batch_execute(
            "CREATE SCHEMA \"Odd place\"; ALTER ROLE ALL SET search_path = pg_catalog; DROP EXTENSION apikey;
             CREATE EXTENSION apikey SCHEMA \"Odd place\"",
        )
        .unwrap();
    let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");
    let accepting = ["-Xq", "-v", "existing_roles=accept", "-f", roles];
    office.database.client_program("psql", &accepting).success();
    let mut ada = office.desk_of(&office.ada);
    assert_eq!(ada.add("till").status(), 200);
    let answer = ada.get("/keys");
    assert!(answer.body.contains(">1 key"), "{}", answer.body);
    office.database.superuser().batch_execute("DROP EXTENSION apikey").unwrap();
    let answer = ada.get("/keys");
    assert_eq!(answer.status(), 503);
    assert!(answer.body.contains("is not installed"), "{}", answer.body);
}

/// These pages are of version 0.4.0; an extension that was not brought up to date is told apart
/// from missing rights.
#[test]
fn an_older_extension_is_told_apart() {
    let office = Office::open(&[]);
    office
        .database
        .superuser()
        .batch_execute("DROP EXTENSION apikey; CREATE EXTENSION apikey VERSION '0.3.0'")
        .unwrap();
    let answer = office.visitor().sign_in(&office.ada);
    assert_eq!(answer.status(), 503);
    assert!(answer.body.contains("ALTER EXTENSION apikey UPDATE"), "{}", answer.body);
}

/// What the page says is what there is to do: it is done, and the role has its rights.
#[test]
fn a_member_who_inherits_nothing_is_told_what_to_run() {
    let mut office = Office::open(&[]);
    let by_attribute = office.database.login("noa", "NOINHERIT IN ROLE apikey_manager");
    let checks = office.database.login("checks", "NOINHERIT IN ROLE apikey_manager");
    let far = office.database.login("fay", "");
    let team = office.database.login("team", "NOINHERIT IN ROLE apikey_auditor");
    let grants = format!(
        "GRANT {} TO {}; GRANT USAGE ON SCHEMA apikey TO {checker};
         GRANT EXECUTE ON FUNCTION apikey.check_key TO {checker}",
        team.role,
        far.role,
        checker = checks.role
    );
    office.database.superuser().batch_execute(&grants).unwrap();
    let run_what_it_says = |page: &str| {
        let said = page.split_once("<pre>").unwrap_or_else(|| panic!("{page}")).1;
        let said = said.split_once("</pre>").unwrap().0;
        assert!(page.contains("without inheriting its rights"), "{page}");
        office.database.superuser().batch_execute(said).unwrap();
    };
    for login in [&by_attribute, &far] {
        let answer = office.visitor().sign_in(login);
        assert_eq!(answer.status(), 403);
        run_what_it_says(&answer.body);
        assert_eq!(office.desk_of(login).get("/keys").status(), 200);
    }
    // He may do something already.
    let mut desk = office.desk_of(&checks);
    for path in ["/keys", "/keys/new"] {
        let answer = desk.get(path);
        assert_eq!(answer.status(), 403, "{path}");
        assert!(answer.body.contains("without inheriting its rights"), "{path}: {}", answer.body);
    }
    run_what_it_says(&desk.get("/keys/new").body);
    assert_eq!(desk.get("/keys/new").status(), 200);
    // Nobody else is told such a thing.
    let answer = office.visitor().sign_in(&office.stranger);
    assert!(!answer.body.contains("inherit") && !answer.body.contains("<pre>"), "{}", answer.body);
}
