//! Where to listen, as `--listen` says it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// The sockets that whoever started us has opened (sd_listen_fds(3)).
    Systemd,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "systemd" {
            return Ok(Self::Systemd);
        }
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err("the path after unix: does not begin with a slash".into()),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "it is none of 127.0.0.1:8080, [::1]:8080, unix:/path/to/socket, systemd".into()
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd => f.write_str("systemd"),
        }
    }
}

/// Permissions of a Unix socket, in octal.
pub fn socket_mode(text: &str) -> Result<u32, String> {
    let is_octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| "it is no mode such as 0660".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_modes() {
        for text in ["127.0.0.1:0", "[::1]:8080", "unix:/run/apikey/shim.sock", "systemd"] {
            assert_eq!(text.parse::<ListenAddress>().map(|it| it.to_string()), Ok(text.into()));
        }
        for text in ["", "localhost:80", "127.0.0.1", "unix:", "unix:shim.sock", "unix:./x"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        assert_eq!(socket_mode("0660"), Ok(0o660));
        assert_eq!(socket_mode("600"), Ok(0o600));
        for text in ["", "rw-", "8", "0888", "1777", "+660"] {
            assert!(socket_mode(text).is_err(), "{text}");
        }
    }
}
