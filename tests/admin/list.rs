//! The list, also of thousands.

use crate::browser::Browser;
use crate::venue::Venue;

/// 3000 keys of three owners in two tenants, a third each of two scopes and of none of them.
fn crowded() -> Venue {
    let venue = Venue::new(&[]);
    venue
        .database
        .superuser()
        .batch_execute(
            "SELECT apikey_create(format('till %s', to_char(n, 'FM0000')),
                              to_jsonb((ARRAY['event', 'ticket', 'till'])[n % 3 + 1]),
                              owner => (ARRAY['ada', 'bob', 'carol'])[n % 3 + 1],
                              tenant => (ARRAY['north', 'south'])[n % 2 + 1])
           FROM generate_series(1, 3000) AS n;
         SELECT apikey_revoke(prefix, 'lost') FROM apikeys WHERE name IN ('till 0007', 'till 0008');
         SELECT apikey_disable(prefix) FROM apikeys WHERE name = 'till 0009';
         UPDATE apikey.key SET expires_at = now() + interval '3 days' WHERE name = 'till 0010'",
        )
        .unwrap();
    venue
}

/// The names in the table, in their order.
fn names(browser: &Browser) -> Vec<String> {
    browser.texts_of("tbody tr th a")
}

#[test]
fn thousands_of_keys_are_searched_filtered_and_sorted() {
    let venue = crowded();
    let browser = venue.browser_of("ada", "en");
    browser.assert_reads("3000 keys");
    let shown = names(&browser).len();
    assert!((20..=200).contains(&shown), "a page of {shown}");

    browser.write("q", "till 123");
    browser.press("Filter");
    browser.press("Name");
    let expected: Vec<_> = (1230..1240).map(|n| format!("till {n}")).collect();
    assert_eq!(names(&browser), expected);
    browser.press("Show all");
    browser.choose("Status", "expires soon");
    browser.press("Filter");
    assert_eq!(names(&browser), ["till 0010"]);

    for (query, expected) in [
        ("status=revoked&sort=name", vec!["till 0007", "till 0008"]),
        ("status=revoked&sort=-name", vec!["till 0008", "till 0007"]),
        ("status=disabled", vec!["till 0009"]),
        ("status=expiring", vec!["till 0010"]),
        ("status=revoked&owner=bob", vec!["till 0007"]),
        ("status=revoked&tenant=north", vec!["till 0008"]),
        ("status=revoked&scope=ticket", vec!["till 0007"]),
        ("q=till+00_7", vec![]),
        ("q=%25", vec![]),
        ("sort=name&page=60", (2951..=3000).map(|_| "").collect()),
    ] {
        browser.go(&venue.url(&format!("/keys?{query}")));
        let found = names(&browser);
        assert_eq!(found.len(), expected.len(), "{query}: {found:?}");
        if !expected.contains(&"") {
            assert_eq!(found, expected, "{query}");
        }
    }
}

#[test]
fn one_goes_from_page_to_page_and_sees_each_key_once() {
    let venue = crowded();
    let browser = venue.browser_of("ada", "en");
    browser.go(&venue.url("/keys?sort=name&q=till+1"));
    let mut seen = names(&browser);
    while browser.all("a[rel=next]").len() == 1 {
        browser.follow("a[rel=next]");
        seen.extend(names(&browser));
    }
    let expected: Vec<_> = (1000..2000).map(|n| format!("till {n}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_key_shows_when_and_from_where_it_was_used() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event', ips => '{127.0.0.1}'");
    venue.keytest(&key).success();
    let browser = venue.browser_of("ada", "en");
    browser.assert_reads("127.0.0.1");
    browser.go(&venue.url(&format!("/keys/{}", &key[..8])));
    browser.assert_reads("127.0.0.1");
}
