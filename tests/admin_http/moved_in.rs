//! Keys of other shapes, which moved in from Django.

use apikey_tests::Office;

/// Made by `hashlib.sha512(key.encode()).hexdigest()`, as Django does; here by Postgres.
fn moved_in(office: &Office, key: &str, name: &str) {
    office.sql(&format!(
        "INSERT INTO apikey.key (prefix, verifier, name, auth, created_at)
         VALUES (split_part('{key}', '.', 1), 'sha512$$' || encode(sha512('{key}'), 'hex'), '{name}', '\"event\"', '2024-01-01')
         RETURNING prefix"
    ));
}

#[test]
fn they_have_pages_like_all_others() {
    let office = Office::open_preloaded(&[]);
    let mut ada = office.desk_of(&office.ada);
    let secret = "Zm9v-YmFy_Zm9v-YmFy_Zm9v-YmFy_";
    for (prefix, page) in [("a", "/keys/a"), ("-_1", "/keys/-_1"), ("new", "/keys/new/")] {
        let (key, name) = (format!("{prefix}.{secret}"), format!("named {prefix}"));
        moved_in(&office, &key, &name);
        assert_eq!(office.shim.ask(&key).status(), 200, "{key}");
        let list = ada.get("/keys");
        assert!(list.body.contains(&format!("<a href=\"{page}\">{name}</a>")), "{}", list.body);
        let answer = ada.get(page);
        assert!(answer.body.contains(&name), "{}", answer.body);
        let counts = "<dt>Accepted</dt><dd>1</dd></div><div><dt>Refused</dt><dd>0</dd>";
        assert!(answer.body.contains(counts), "{}", answer.body);
        let trail = ada.get(&format!("/keys/{prefix}/events"));
        assert!(trail.body.contains(&format!("<a href=\"{page}\">")), "{}", trail.body);
        ada.get(page);
        let disabled = ada.post(&format!("/keys/{prefix}/disable"), &[]);
        assert_eq!((disabled.status(), disabled.header("location")), (303, Some(page)));
        assert_eq!(office.shim.ask(&key).status(), 401, "{key}");
        // What is pasted into the search does not stay in the address.
        let search = ada.get(&format!("/keys?q={key}"));
        assert_eq!(search.header("location"), Some(format!("/keys?q={prefix}").as_str()));
        ada.get("/test");
        let test = ada.post("/test", &[("key", &key)]);
        assert!(test.body.contains("refused: disabled"), "{}", test.body);
    }
    assert!(ada.get("/keys/new").body.contains("name=\"once\""), "the form for a new key");
    assert_eq!(ada.get("/keys?q=St.+Johann+im+Pongau").status(), 200);
    for nobody in ["/keys/a+b", "/keys/123456789", "/keys/a/", "/keys/new/x"] {
        assert_eq!(ada.get(nobody).status(), 404, "{nobody}");
    }
}
