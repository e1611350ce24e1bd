//! What a form says before it is sent. The same is said again, to whoever has no scripts, when it
//! is sent.

use crate::browser::Browser;
use apikey_tests::Office;

#[test]
fn what_is_no_address_is_said_while_it_is_typed() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "en");
    browser.go(&office.shim.admin_url("/keys/new"));
    let said = || browser.text_of("#ips-said");
    for (typed, wrong) in [
        ("12.34.56.78", ""),
        ("0.0.0.0/0, 10.0.0.0/8; ::/0\n2001:db8::/32 ::ffff:192.0.2.1", ""),
        ("12.34.56", "12.34.56"),
        ("12.34.56.078", "12.34.56.078"),
        ("192.0.2.256", "192.0.2.256"),
        ("10.0.0.0/33 10.0.0.0/8", "10.0.0.0/33"),
        ("::/129", "::/129"),
        ("10.0.0.0/", "10.0.0.0/"),
        ("2001:db8:::1, localhost", "2001:db8:::1, localhost"),
        ("1:2", "1:2"),
        ("<b>x</b>", "<b>x</b>"),
        ("", ""),
    ] {
        browser.write("ips", typed);
        browser.click("[name=name]");
        let sentence = match wrong {
            "" => String::new(),
            wrong => format!("Not an address or network: {wrong}"),
        };
        assert_eq!(said(), sentence, "{typed}");
        assert_eq!(browser.attribute("#ips", "aria-invalid") == "true", !wrong.is_empty());
        // The server says so, too.
        browser.submit();
        assert_eq!(browser.text().contains("Not an address or network"), !wrong.is_empty());
    }
    // What is not finished is not judged.
    browser.write("ips", "10.0.0.0/33 12.34");
    assert_eq!(said(), "Not an address or network: 10.0.0.0/33");
}
