//! The chart of what the shim answered.

use crate::office::Office;
use apikey_tests::wrong_secret;

#[test]
fn it_shows_what_was_accepted_and_refused() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let elsewhere = office.database.key("'event', '192.0.2.1'");
    for _ in 0..3 {
        office.shim.ask(&key);
    }
    // Proxies ask, too; that a key may not do all is no refusal of the key.
    let authorization = format!("Authorization: Api-Key {key}");
    for (address, status) in [("/auth", 200), ("/auth?scope=ticket", 403)] {
        assert_eq!(office.shim.get(address, &[&authorization]).status(), status);
    }
    office.shim.ask(&wrong_secret(&key));
    office.shim.ask(&elsewhere);
    office.shim.ask("nonsense");
    // Nobody's key is asked for here.
    office.shim.get("/ready", &[]);
    office.shim.get("/api/user/keytest/", &[]);

    let mut audrey = office.desk_of(&office.audrey);
    for (page, sum) in [
        ("/keys".to_owned(), "5 accepted, 3 refused"),
        (format!("/keys/{}", &key[..8]), "5 accepted, 1 refused"),
        (format!("/keys/{}", &elsewhere[..8]), "0 accepted, 1 refused"),
    ] {
        let answer = audrey.get(&page);
        assert_eq!(answer.body.matches(sum).count(), 2, "by hour and by day: {}", answer.body);
        assert_eq!(answer.body.matches("<svg role=\"img\"").count(), 2, "{page}");
        let bars = |class: &str| answer.body.matches(&format!("<rect class=\"{class}\"")).count();
        let (accepted, refused) = (bars("accepted"), bars("refused"));
        assert_eq!((accepted == 0, refused == 0), (sum.starts_with('0'), false), "{}", answer.body);
        // And in a table, for whoever sees no bars.
        assert!(answer.body.contains("<th scope=\"row\">this hour</th>"), "{}", answer.body);
    }
}
