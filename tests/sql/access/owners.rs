//! The extension's owner need not be a superuser, nor need the owner of the database.

use crate::records::usage::{check, wait_for_stored};
use apikey_tests::{Cluster, Database, Login, one};

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");
const SETTINGS: [&str; 1] = ["apikey.usage_flush_interval = '1s'"];

/// Installed by a superuser who has gone: all that was his is a plain role's.
fn handed_over(version: &str) -> (Database, Login) {
    let mut database = Database::without_extension(Cluster::preloaded(&SETTINGS));
    let installer = database.login("installer", "SUPERUSER");
    let owner = database.login("owner", "");
    let create = format!("CREATE EXTENSION apikey VERSION '{version}'");
    database.connect(&installer).batch_execute(&create).unwrap();
    let hand_over = format!(
        "ALTER DATABASE {} OWNER TO {owner}; GRANT CREATE ON SCHEMA public TO {owner};
         REASSIGN OWNED BY {} TO {owner}",
        database.name,
        installer.role,
        owner = owner.role
    );
    database.superuser().batch_execute(&hand_over).unwrap();
    database.forget(&installer);
    (database, owner)
}

fn use_everything(database: &mut Database, owner: &Login) {
    database.client_program("psql", &["-Xq", "-f", ROLES]).success();
    let manager = database.login("ada", "IN ROLE apikey_manager");
    let checker = database.login("till", "IN ROLE apikey_checker");
    let auditor = database.login("audrey", "IN ROLE apikey_auditor");
    let (mut ada, mut till) = (database.connect(&manager), database.connect(&checker));
    let [key, other] = ["1", "2"].map(|name| {
        let create = format!("SELECT apikey_create('{name}', 'event', '10.0.0.0/8')");
        one(&mut ada, &create).unwrap()
    });
    for (question, answer) in [
        ("apikey_check('KEY', '10.0.0.1') ->> 'ip_valid'", "true"),
        ("(apikey_authorize('KEY', '10.0.0.1', 'event')).reason", "ok"),
        ("apikey_login('KEY', '10.0.0.1')", "t"),
        ("apikey_granted('event')", "f"),
    ] {
        let question = format!("SELECT {}", question.replace("KEY", &key));
        assert_eq!(one(&mut till, &question).as_deref(), Some(answer), "{question}");
    }
    for (question, answer) in [
        ("apikey_explain('KEY', '10.0.0.1')", "accepted"),
        ("left(apikey_explain('KEY', '192.0.2.1'), 22)", "refused: wrong address"),
        ("apikey_disable('KEY')", "t"),
        ("apikey_enable('KEY')", "t"),
        ("left(apikey_rotate('KEY', '1 day'), 0)", ""),
        ("apikey_revoke('KEY')", "t"),
        ("(SELECT count(*) FROM apikeys WHERE status = 'revoked')", "1"),
    ] {
        let question = format!("SELECT {}", question.replace("KEY", &key));
        assert_eq!(one(&mut ada, &question).as_deref(), Some(answer), "{question}");
    }
    ada.batch_execute("UPDATE apikey.key SET name = name || '!'").unwrap();
    let seen = "SELECT count(*) > 0 FROM apikeys, apikey_events, apikey_stats";
    assert_eq!(one(&mut database.connect(&auditor), seen).as_deref(), Some("t"));
    check(&mut till, &other, "'10.0.0.1'");
    wait_for_stored(&mut database.superuser(), &other, "1 0 10.0.0.1");

    let mut owner = database.connect(owner);
    assert_eq!(one(&mut owner, "SELECT apikey_prune_events('30 days')").as_deref(), Some("0"));
    owner.batch_execute("DELETE FROM apikey.key").unwrap();
    assert_eq!(one(&mut owner, "SELECT count(*) FROM apikey.usage").as_deref(), Some("0"));
    let others = "SELECT string_agg(pg_describe_object(m.classid, m.objid, 0), ' ')
          FROM pg_extension AS e
          JOIN pg_depend AS m ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid AND m.deptype = 'e'
          LEFT JOIN pg_shdepend AS o ON (o.classid, o.objid) = (m.classid, m.objid) AND o.deptype = 'o'
           AND o.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
         WHERE e.extname = 'apikey' AND m.classid <> 'pg_type'::regclass
           AND o.refobjid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = current_user)";
    assert_eq!(one(&mut owner, others), None);
}

#[test]
fn all_works_after_it_was_handed_over_and_the_installer_has_gone() {
    let (mut database, owner) = handed_over("0.4.0");
    use_everything(&mut database, &owner);
}

#[test]
fn all_works_after_an_update_of_what_was_handed_over() {
    let (mut database, owner) = handed_over("0.3.0");
    database.superuser().batch_execute("ALTER EXTENSION apikey UPDATE").unwrap();
    use_everything(&mut database, &owner);
}

/// Who owns the database and nothing of the extension, and is no superuser.
#[test]
fn the_owner_of_the_database_dumps_it() {
    let mut database = Database::in_cluster(Cluster::preloaded(&SETTINGS));
    database.client_program("psql", &["-Xq", "-f", ROLES]).success();
    let owner = database.login("owner", "");
    let key = database.key("'event'");
    let mut superuser = database.superuser();
    let give = format!(
        "ALTER DATABASE {} OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}",
        database.name,
        role = owner.role
    );
    superuser.batch_execute(&give).unwrap();
    database.connect(&owner).batch_execute("CREATE TABLE shop AS SELECT 1 AS article").unwrap();
    let password = owner.password.replace(' ', "%20");
    let place = format!("127.0.0.1:{}/{}", database.port(), database.name);
    let url = format!("postgresql://{}:{password}@{place}", owner.role);
    let refused = database.client_program("pg_dump", &["-d", &url]);
    assert!(refused.stderr.contains("permission denied for "), "{}", refused.stderr);
    superuser.batch_execute(&format!("GRANT apikey_backup TO {}", owner.role)).unwrap();
    let dump = database.client_program("pg_dump", &["-d", &url]).success();

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let mut other = Database::without_extension(Cluster::preloaded(&SETTINGS));
    let roles =
        ["apikey_checker", "apikey_auditor", "apikey_manager", "apikey_backup", &owner.role];
    for role in roles {
        other.superuser().batch_execute(&format!("CREATE ROLE {role}")).unwrap();
    }
    let restore = ["-Xq", "-v", "ON_ERROR_STOP=1", "-f", file.path().to_str().unwrap()];
    other.client_program("psql", &restore).success();
    assert_eq!(one(&mut other.superuser(), "SELECT count(*) FROM shop").as_deref(), Some("1"));
    // What was granted came along.
    let till = other.login("till", "IN ROLE apikey_checker");
    assert!(check(&mut other.connect(&till), &key, "NULL").is_some());
}
