//! Spellings of paths: each is sent, as it stands here, to each proxy, and what passes is read by
//! several services.

use crate::proxies::{self, Backends, Variant::AsDeployed, each};
use crate::readers::{self, Readers};
use apikey_tests::{Answer, Database, Proxy, Shim};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a spelling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Plain, and needs the scope `event`.
    Event,
    /// Plain, and needs any key.
    Other,
    /// Not plain: no service gets it.
    Odd,
}
use Kind::{Event, Odd, Other};

#[rustfmt::skip]
const SPELLINGS: &[(Kind, &[u8])] = &[
    (Other, b"/"),
    (Other, b"/list"),
    (Other, b"/a/b.c/d-e_f/"),
    (Other, b"/.well-known/x"),
    (Other, b"/@ada/ada@example.org/1,2,3/a=b/v1:do"),
    (Other, b"/..x/...y"),
    (Other, b"/?/events/list"),
    (Other, b"/list?path=/../events/list&x=%2F%00%c0%af|z"),
    (Other, b"/list??"),
    (Other, b"/x/events/list"),
    (Event, b"/events"),
    (Event, b"/events/"),
    (Event, b"/events/list"),
    (Event, b"/events/list/"),
    (Event, b"/events/list?a=b/../../x"),
    (Event, b"/events?"),
    // In any case: a service may fold it.
    (Event, b"/Events/list"),
    (Event, b"/EVENTS"),
    (Event, b"/eVeNtS/LIST"),
    // A part of the name that a service may cut off.
    (Event, b"/events.json"),
    (Event, b"/events:list"),
    (Event, b"/events,list"),
    (Event, b"/events=/list"),
    // An encoded slash.
    (Odd, b"/events%2flist"),
    (Odd, b"/events%2Flist"),
    (Odd, b"/%2fevents/list"),
    (Odd, b"/%2Fevents%2Flist"),
    (Odd, b"/x%2f..%2fevents/list"),
    (Odd, b"/x/..%2fevents/list"),
    (Odd, b"/events%2f"),
    // A backslash.
    (Odd, b"/events\\list"),
    (Odd, b"/\\events/list"),
    (Odd, b"\\events/list"),
    (Odd, b"/events%5clist"),
    (Odd, b"/events%5Clist"),
    (Odd, b"/%5cevents/list"),
    (Odd, b"/x\\..\\events/list"),
    (Odd, b"/x%5c..%5cevents/list"),
    (Odd, b"/\\\\x/events/list"),
    // An encoded dot, dot segments.
    (Odd, b"/./events/list"),
    (Odd, b"/x/../events/list"),
    (Odd, b"/x/%2e%2e/events/list"),
    (Odd, b"/x/.%2E/events/list"),
    (Odd, b"/x/%2e./events/list"),
    (Odd, b"/%2e/events/list"),
    (Odd, b"/events/list/../../x"),
    (Odd, b"/events/list/%2e%2e/%2e%2e/x"),
    (Odd, b"/events/../x"),
    (Odd, b"/../events/list"),
    (Odd, b"/events/."),
    (Odd, b"/x/.."),
    (Odd, b"/.../events/list"),
    // Slashes.
    (Odd, b"//events/list"),
    (Odd, b"///events/list"),
    (Odd, b"//x/events/list"),
    (Odd, b"/events//list"),
    (Odd, b"/events/list//"),
    // Parameters of segments.
    (Odd, b"/events;/list"),
    (Odd, b"/events;x=y/list"),
    (Odd, b"/;/events/list"),
    (Odd, b"/;x/events/list"),
    (Odd, b"/x/..;/events/list"),
    (Odd, b"/events%3b/list"),
    (Odd, b"/events/list;jsessionid=1"),
    // NUL and other control bytes.
    (Odd, b"/events%00/list"),
    (Odd, b"/events%00"),
    (Odd, b"/%00/events/list"),
    (Odd, b"/events\x00/list"),
    (Odd, b"/events%0a/list"),
    (Odd, b"/%0d%0aevents/list"),
    (Odd, b"/events%09/list"),
    (Odd, b"/events\x09/list"),
    (Odd, b"/events\x7f/list"),
    (Odd, b"/events%7f/list"),
    (Odd, b"/list?\x01"),
    (Odd, b"/list?\x7f"),
    // Encoded where nothing has to be, and twice.
    (Odd, b"/%65vents/list"),
    (Odd, b"/%45vents/list"),
    (Odd, b"/even%74s/list"),
    (Odd, b"/%65%76%65%6e%74%73/%6c%69%73%74"),
    (Odd, b"/%2565vents/list"),
    (Odd, b"/%252fevents/list"),
    (Odd, b"/events%252flist"),
    (Odd, b"/x/%252e%252e/events/list"),
    (Odd, b"/events%255clist"),
    (Odd, b"/%25%36%35vents/list"),
    // What is no encoding, or none of UTF-8's.
    (Odd, b"/%u0065vents/list"),
    (Odd, b"/%c0%afevents/list"),
    (Odd, b"/x/%c0%ae%c0%ae/events/list"),
    (Odd, b"/events%/list"),
    (Odd, b"/events%2/list"),
    (Odd, b"/%zzevents/list"),
    // Characters that Unicode takes for others: of full width, a long s, a soft hyphen.
    (Odd, b"/%ef%bd%85vents/list"),
    (Odd, b"/%ef%bc%8fevents/list"),
    (Odd, b"/event%c5%bf/list"),
    (Odd, b"/event\xc5\xbf/list"),
    (Odd, b"/e%c2%advents/list"),
    (Odd, b"/\xefvents/list"),
    // A dot or a blank at the end, or at the beginning.
    (Odd, b"/events./list"),
    (Odd, b"/events%2e/list"),
    (Odd, b"/events..../list"),
    (Odd, b"/events%20/list"),
    (Odd, b"/%20events/list"),
    (Odd, b"/events+/list"),
    (Odd, b"/+events/list"),
    (Odd, b"/events%c2%a0/list"),
    // A query or a fragment within the path.
    (Odd, b"/events%3fx"),
    (Odd, b"/events%3F/list"),
    (Odd, b"/events%23/list"),
    (Odd, b"/events#/list"),
    (Odd, b"/x#/../events/list"),
    // Other forms of a target (RFC 9112, 3.2).
    (Odd, b"http://service/events/list"),
    (Odd, b"HTTP://service/events/list"),
    (Odd, b"http://service//events/list"),
    (Odd, b"http://service/list"),
    (Odd, b"http://service?/events/list"),
    (Odd, b"http:/events/list"),
    (Odd, b"file:///events/list"),
    (Odd, b"events/list"),
    (Odd, b"service:80"),
    (Odd, b"*"),
    (Odd, b"?/events/list"),
    (Odd, b"./events/list"),
    // Names of Windows's, and signs that shells and templates know.
    (Odd, b"/EVENT~1/list"),
    (Odd, b"/events::$DATA"),
    (Odd, b"/events*/list"),
    (Odd, b"/{events}/list"),
    (Odd, b"/events|/list"),
    (Odd, b"/<events>/list"),
    (Odd, b"/events\"/list"),
    (Odd, b"/events'/list"),
    (Odd, b"/events!/list"),
    (Odd, b"/(events)/list"),
    (Odd, b"/events&/list"),
    (Odd, b"/[events]/list"),
];

/// Whether it may reach a service, also as what a proxy made of another.
fn is_plain(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && !b"/._@:,=-".contains(&byte);
    let segments: Vec<_> = path.split('/').collect();
    let (first, rest) = segments.split_first().unwrap();
    let (last, rest) = rest.split_last().unwrap();
    first.is_empty()
        && !path.bytes().any(odd)
        && rest.iter().all(|segment| !segment.is_empty())
        && rest.iter().chain([last]).all(|segment| !segment.ends_with('.'))
}

fn ask(proxy: &Proxy, method: &str, target: &[u8], key: &str) -> Answer {
    let mut stream = TcpStream::connect(proxy.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let lines =
        format!(" HTTP/1.1\r\nHost: service\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(&[method.as_bytes(), b" ", target, lines.as_bytes()].concat()).unwrap();
    // Not to the end of the connection, which Envoy keeps for a second.
    let head = readers::head(&mut stream);
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(u64::MAX);
    Answer::read((&*head).chain(stream.take(length)))
}

#[test]
fn a_service_gets_what_is_asked_about() {
    let readers = Readers::start();
    each(|kind| try_all_spellings(kind, &readers));
}

fn try_all_spellings(kind: &proxies::Kind, readers: &Readers) {
    let mut database = Database::new();
    let (event, ticket) = (database.key("'event'"), database.key("'ticket'"));
    let shim = Shim::start_for_auth(&mut database, &["--trusted-proxy", "127.0.0.1"]);
    let backends = Backends { shim: shim.address.to_string(), service: readers.address.clone() };
    let proxy = kind.start(&backends, AsDeployed);

    let mut wrong = Vec::new();
    // As long as all six take a line, which a pattern has to get through, too.
    let long = ["/", &"a/".repeat(3500)].concat();
    for (spelling, target) in SPELLINGS.iter().chain([&(Other, long.as_bytes())]) {
        let [with_event, with_ticket] = [&event, &ticket].map(|key| {
            let answer = ask(&proxy, "GET", target, key);
            let read = (answer.status() == 200).then(|| {
                let read: Value = serde_json::from_str(&answer.body).unwrap();
                let is_event = read["event"].as_array().unwrap().is_empty();
                (read["target"].as_str().unwrap().to_owned(), !is_event)
            });
            (answer.status(), read)
        });
        let sent = String::from_utf8_lossy(target).into_owned();
        let whole = |is_event| (200, Some((sent.clone(), is_event)));
        let is_right = match spelling {
            Event => {
                with_event.0 == 200
                    && with_ticket == (403, None)
                    && with_event.1.as_ref().unwrap().0 == sent
            }
            Other => with_event == whole(false) && with_ticket == whole(false),
            // A proxy may make a plain one of it. The question is then about that one.
            Odd => match (&with_event, &with_ticket) {
                ((400, _), (400, _)) => true,
                // Some know no route for what is no path.
                ((404, _), (404, _)) => !target.starts_with(b"/"),
                ((200, Some((target, true))), (403, _)) => is_plain(target),
                ((200, Some((target, false))), (200, Some((same, false)))) => {
                    is_plain(target) && target == same
                }
                _ => false,
            },
        };
        if !is_right {
            wrong.push(format!("{spelling:?} {sent:?}: {with_event:?}, {with_ticket:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
