//! The list, also of thousands.

use apikey_tests::{Office, Visitor};

/// 3000 keys of three owners in two tenants, a third each of three scopes.
fn crowded() -> Office {
    let office = Office::open(&[]);
    let verifier = office.database.key("'event', owner => 'dan'");
    let keys = format!(
        "INSERT INTO apikey.key (prefix, verifier, name, owner, auth, tenant)
         SELECT 'B' || lpad(n::text, 7, '0'), k.verifier, format('till %s', to_char(n, 'FM0000')),
                (ARRAY['ada', 'bob', 'carol'])[n % 3 + 1],
                to_jsonb((ARRAY['event', 'ticket', 'till'])[n % 3 + 1]),
                (ARRAY['north', 'south'])[n % 2 + 1]
           FROM generate_series(1, 3000) AS n, apikey.key AS k WHERE k.prefix = '{prefix}';
         DELETE FROM apikey.key WHERE prefix = '{prefix}';
         SELECT apikey_revoke(prefix, 'lost') FROM apikeys WHERE name IN ('till 0007', 'till 0008');
         SELECT apikey_disable(prefix) FROM apikeys WHERE name = 'till 0009';
         UPDATE apikey.key SET expires_at = now() + interval '3 days' WHERE name = 'till 0010'",
        prefix = &verifier[..8]
    );
    office.database.superuser().batch_execute(&keys).unwrap();
    office
}

/// The names in the table, in their order.
fn names(visitor: &Visitor) -> Vec<String> {
    let cells = visitor.page.split("<th scope=\"row\">").skip(1);
    cells.map(|cell| cell.split(['>', '<']).nth(2).unwrap().to_owned()).collect()
}

#[test]
fn thousands_of_keys_are_searched_filtered_and_sorted() {
    let office = crowded();
    let mut ada = office.desk_of(&office.ada);
    assert!(ada.get("/keys").body.contains(">3000 keys<"), "{}", ada.page);
    assert!((20..=200).contains(&names(&ada).len()), "a page of {}", names(&ada).len());

    // What the form and the head of a column lead to.
    let page = ada.get("/keys?q=till+123").body;
    assert!(page.contains("name=\"q\" value=\"till 123\""), "{page}");
    assert!(page.contains("href=\"/keys?q=till+123&amp;sort=name\""), "{page}");
    assert!(page.contains("<option value=\"expiring\">expires soon</option>"), "{page}");
    let tills = |range: std::ops::Range<u32>| range.map(|n| format!("till {n:04}"));
    for (query, expected) in [
        ("q=till+123&sort=name", tills(1230..1240).collect()),
        ("status=revoked&sort=name", tills(7..9).collect()),
        ("status=revoked&sort=-name", tills(7..9).rev().collect()),
        ("status=disabled", tills(9..10).collect()),
        ("status=expiring", tills(10..11).collect()),
        ("status=revoked&owner=bob", tills(7..8).collect()),
        ("status=revoked&tenant=north", tills(8..9).collect()),
        ("status=revoked&scope=ticket", tills(7..8).collect()),
        ("q=till+00_7", vec![]),
        ("q=%25", vec![]),
        ("sort=name&page=60", tills(2951..3001).collect()),
    ] {
        ada.get(&format!("/keys?{query}"));
        assert_eq!(names(&ada), expected, "{query}");
    }
}

#[test]
fn one_goes_from_page_to_page_and_sees_each_key_once() {
    let office = crowded();
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys?sort=name&q=till+1");
    let mut seen = names(&ada);
    while let Some((before, _)) = ada.page.split_once("\" rel=\"next\"") {
        let next = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&");
        ada.get(&next);
        seen.extend(names(&ada));
    }
    let expected: Vec<_> = (1000..2000).map(|n| format!("till {n}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_key_shows_when_and_from_where_it_was_used() {
    let office = Office::open_preloaded(&[]);
    let key = office.database.key("'event'");
    office.keytest(&key).success();
    let mut ada = office.desk_of(&office.ada);
    apikey_tests::eventually("the use is stored", || {
        ada.get("/keys").body.contains("from <code>127.0.0.1</code>")
    });
}
