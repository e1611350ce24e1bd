//! In whose name a key is checked: a key of one tenant is not valid for another.

pub mod by_host;
mod name;

use apikey_http::host;
use hyper::{HeaderMap, Uri};

use by_host::TenantHosts;
use name::name;

#[derive(Debug)]
pub enum Tenancy {
    /// Keys that have none are valid.
    None,
    One(String),
    ByHost(TenantHosts),
}

/// The request's host has no tenant. It is refused like any other, without the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl Tenancy {
    pub fn one(tenant: &str) -> Result<Self, String> {
        name(tenant).map(Self::One)
    }

    /// What to check a request's key in; `Ok(None)` without tenants.
    pub fn of(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<String>, Unknown> {
        match self {
            Self::None => Ok(None),
            Self::One(tenant) => Ok(Some(tenant.clone())),
            Self::ByHost(hosts) => {
                let host =
                    host::requested(uri, headers).and_then(host::of_authority).ok_or(Unknown)?;
                hosts.tenant(&host).map(Some).ok_or(Unknown)
            }
        }
    }

    /// The tenant for a check of no key, which shall be the same statement as that of a request.
    pub fn any(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::One(tenant) => Some(tenant),
            Self::ByHost(_) => Some("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{self, HeaderValue};

    fn of(tenancy: &Tenancy, target: &str, hosts: &[&str]) -> Result<Option<String>, Unknown> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        headers.insert("x-forwarded-host", HeaderValue::from_static("venue.example.org"));
        headers.insert("forwarded", HeaderValue::from_static("host=venue.example.org"));
        tenancy.of(&target.parse().unwrap(), &headers)
    }

    fn by_host() -> Tenancy {
        Tenancy::ByHost(TenantHosts::parse(["*.example.org=*"].into_iter()).unwrap())
    }

    #[test]
    fn the_host_header_names_the_tenant() {
        let tenancy = by_host();
        let venue = Ok(Some("venue".to_owned()));
        for host in ["venue.example.org", "VENUE.example.org.:8080"] {
            assert_eq!(of(&tenancy, "/", &[host]), venue, "{host}");
        }
        for hosts in [
            &[][..],
            &[""],
            &["example.org"],
            &["caf\u{e9}.example.org"],
            &["venue.example.org", "venue.example.org"],
            &["venue.example.org", "other.example.org"],
        ] {
            assert_eq!(of(&tenancy, "/", hosts), Err(Unknown), "{hosts:?}");
        }
    }

    #[test]
    fn an_absolute_target_outranks_it() {
        let tenancy = by_host();
        let target = "http://Venue.example.org:80/";
        for hosts in [&[][..], &["other.example.org"], &["\u{e9}"]] {
            assert_eq!(of(&tenancy, target, hosts), Ok(Some("venue".to_owned())), "{hosts:?}");
        }
        assert_eq!(of(&tenancy, target, &["a.example.org", "b.example.org"]), Err(Unknown));
        for target in ["http://stranger.test/", "http://other@venue.example.org/"] {
            assert_eq!(of(&tenancy, target, &["venue.example.org"]), Err(Unknown), "{target}");
        }
    }

    #[test]
    fn other_settings_look_at_no_host() {
        for hosts in [&[][..], &["stranger.test"], &["a", "b"]] {
            assert_eq!(of(&Tenancy::None, "/", hosts), Ok(None));
            let one = Tenancy::one("The Venue").unwrap();
            assert_eq!(of(&one, "/", hosts), Ok(Some("The Venue".to_owned())));
        }
    }

    /// Else `/ready` could say yes while every request fails.
    #[test]
    fn a_probe_has_a_tenant_when_requests_have() {
        assert_eq!(Tenancy::None.any(), None);
        assert_eq!(Tenancy::one("venue").unwrap().any(), Some("venue"));
        assert_eq!(by_host().any(), Some("*"));
    }
}
