//! Which tenant belongs to which host: the entries of `--tenant-by-host`.

use std::collections::{HashMap, HashSet};

use apikey_http::host;

use super::name::name;

/// TenantHosts as `host::spelled` writes them.
#[derive(Debug, Default)]
pub struct TenantHosts {
    named: HashMap<String, String>,
    /// What stands behind the label that is the tenant. It is one label, so that no host has two
    /// patterns and the order of the entries means nothing.
    suffixes: HashSet<String>,
}

impl TenantHosts {
    /// Parses `HOST=TENANT` and `*.SUFFIX=*`.
    pub fn parse<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut hosts = Self::default();
        for entry in entries {
            hosts.add(entry).map_err(|reason| format!("\"{entry}\": {reason}"))?;
        }
        Ok(hosts)
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.suffixes.is_empty()
    }

    /// The tenant of a host. One that has an entry of its own has none by a pattern.
    pub fn tenant(&self, host: &str) -> Option<String> {
        if let Some(tenant) = self.named.get(host) {
            return Some(tenant.clone());
        }
        let (label, suffix) = host.split_once('.')?;
        (self.suffixes.contains(suffix) && is_tenant(label)).then(|| label.to_owned())
    }

    fn add(&mut self, entry: &str) -> Result<(), String> {
        let (host, tenant) =
            entry.split_once('=').ok_or("it is neither HOST=TENANT nor *.SUFFIX=*")?;
        let is_new = match (host.strip_prefix("*."), tenant) {
            (Some(suffix), "*") => self.suffixes.insert(spelled(suffix)?),
            (Some(_), _) => return Err("the tenant of a pattern is its label: write =*".into()),
            (None, "*") => return Err("=* needs a pattern such as *.example.org".into()),
            (None, tenant) => self.named.insert(spelled(host)?, name(tenant)?).is_none(),
        };
        if is_new { Ok(()) } else { Err("this host has an entry already".into()) }
    }
}

/// `[a-z0-9-]+`: nothing that means something elsewhere. What a host may have besides is the
/// underscore.
fn is_tenant(label: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !label.is_empty() && label.bytes().all(allowed)
}

fn spelled(host: &str) -> Result<String, String> {
    host::spelled(host).ok_or_else(|| {
        "the host is no name such as venue.example.org and no address such as 192.0.2.7 or \
         [2001:db8::7] (no port, no scheme; international names in their xn-- form)"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(entries: &[&str], host: &str) -> Option<String> {
        TenantHosts::parse(entries.iter().copied()).unwrap().tenant(host)
    }

    #[test]
    fn named_hosts() {
        let entries = ["Venue.Example.org.=The Venue", "[0:0::1]=six", "192.0.2.7=a=b"];
        for (host, expected) in
            [("venue.example.org", "The Venue"), ("[::1]", "six"), ("192.0.2.7", "a=b")]
        {
            assert_eq!(tenant(&entries, host).as_deref(), Some(expected), "{host}");
        }
        for host in ["example.org", "a.venue.example.org", "xvenue.example.org", "venue", "org"] {
            assert_eq!(tenant(&entries, host), None, "{host}");
        }
    }

    #[test]
    fn a_pattern_is_for_one_label() {
        let entries = ["*.example.org=*", "*.b.example.org=*"];
        for (host, expected) in [
            ("venue.example.org", "venue"),
            ("b.example.org", "b"),
            ("a.b.example.org", "a"),
            ("xn--caf-dma.example.org", "xn--caf-dma"),
            ("7-7.example.org", "7-7"),
        ] {
            assert_eq!(tenant(&entries, host).as_deref(), Some(expected), "{host}");
        }
        for host in [
            "example.org",
            "org",
            "a.venue.example.org",
            "venue.example.org.evil.test",
            "venue.notexample.org",
            "venueexample.org",
            "a_b.example.org",
        ] {
            assert_eq!(tenant(&entries, host), None, "{host}");
        }
    }

    #[test]
    fn a_named_host_wins_over_a_pattern() {
        for entries in [
            ["*.example.org=*", "www.example.org=public"],
            ["www.example.org=public", "*.example.org=*"],
        ] {
            assert_eq!(tenant(&entries, "www.example.org").as_deref(), Some("public"));
            assert_eq!(tenant(&entries, "venue.example.org").as_deref(), Some("venue"));
        }
    }

    #[test]
    fn wrong_entries() {
        for entry in [
            "venue.example.org",
            "=venue",
            "venue.example.org=",
            "venue.example.org= venue",
            "venue.example.org =venue",
            "venue.example.org=*",
            "*.example.org=venue",
            "*.example.org=",
            "*=*",
            "*.=*",
            "*.*.example.org=*",
            "v*.example.org=*",
            "venue.example.org:80=venue",
            "https://venue.example.org=venue",
            "::1=venue",
            "caf\u{e9}.example.org=venue",
        ] {
            let message = TenantHosts::parse([entry].into_iter()).unwrap_err();
            assert!(message.starts_with(&format!("\"{entry}\": ")), "{message}");
        }
        for twice in [["a.b=c", "A.B.=d"], ["*.b=*", "*.B=*"]] {
            assert!(TenantHosts::parse(twice.into_iter()).is_err(), "{twice:?}");
        }
    }
}
