//! Which addresses are asked.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use turnwise_core::net::is_public;

/// The first port that no system service has by itself; below it only HTTPS's own is asked,
/// so that a webhook cannot be made to speak to a mail server.
const FIRST_FREE_PORT: u16 = 1_024;

/// HTTPS's own port.
const HTTPS_PORT: u16 = 443;

/// How far requests go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses, by HTTPS.
    #[default]
    Public,
    /// To this machine too, by plain HTTP: for tests and laptops.
    Loopback,
}

impl Reach {
    fn includes(self, address: IpAddr) -> bool {
        let is_own = match self {
            Self::Public => false,
            Self::Loopback => address.is_loopback(),
        };
        is_own || is_public(address)
    }
}

/// Why an address is not asked. For whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It cannot be read.
    #[error("It is no address of the form https://host/path.")]
    Unreadable,
    /// It is not HTTPS's.
    #[error("It must begin with https://.")]
    NotHttps,
    /// It brings a name or a password along.
    #[error("It must not contain a user or a password.")]
    UserInfo,
    /// It names a port of another service.
    #[error("Its port must be {HTTPS_PORT}, or {FIRST_FREE_PORT} or more.")]
    Port,
    /// It is one of a private network.
    #[error("It must be an address of the public internet.")]
    NotPublic,
}

/// The address that `text` is, if it is one that may be asked. What its name stands for is
/// checked when it is.
///
/// # Errors
/// Why it may not.
pub fn check_url(text: &str, reach: Reach) -> Result<Url, RefusedUrl> {
    let url = Url::parse(text).map_err(|_| RefusedUrl::Unreadable)?;
    let host = url.host_str().ok_or(RefusedUrl::Unreadable)?;
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_own = reach == Reach::Loopback && literal.is_some_and(|address| address.is_loopback());
    if url.scheme() != "https" && !(is_own && url.scheme() == "http") {
        return Err(RefusedUrl::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RefusedUrl::UserInfo);
    }
    let port = url.port_or_known_default().unwrap_or(HTTPS_PORT);
    if port != HTTPS_PORT && port < FIRST_FREE_PORT {
        return Err(RefusedUrl::Port);
    }
    if literal.is_some_and(|address| !reach.includes(address)) {
        return Err(RefusedUrl::NotPublic);
    }
    Ok(url)
}

/// Resolves names as the system does, and gives none that has an address out of reach: the
/// connection goes to what is given here.
#[derive(Debug)]
pub(super) struct Checked(pub(super) Reach);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !found.iter().all(|address| reach.includes(address.ip())) {
                return Err(Box::from(RefusedUrl::NotPublic));
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, url: &str, expected: Result<(), RefusedUrl>) {
        assert_eq!(check_url(url, reach).map(|_| ()), expected, "{url}");
    }

    #[test]
    fn only_public_addresses_are_asked_and_only_by_https() {
        use RefusedUrl::{NotHttps, NotPublic, Port, Unreadable, UserInfo};
        for (url, expected) in [
            ("https://example.com/hook?x=1", Ok(())),
            ("https://example.com:8443/", Ok(())),
            ("https://1.1.1.1/", Ok(())),
            ("https://[2606:4700:4700::1111]/", Ok(())),
            ("http://example.com/", Err(NotHttps)),
            ("ftp://example.com/", Err(NotHttps)),
            ("example.com", Err(Unreadable)),
            ("https://user@example.com/", Err(UserInfo)),
            ("https://:secret@example.com/", Err(UserInfo)),
            ("https://example.com:25/", Err(Port)),
            ("https://example.com:80/", Err(Port)),
            ("https://127.0.0.1/", Err(NotPublic)),
            // Other spellings of the same.
            ("https://2130706433/", Err(NotPublic)),
            ("https://0x7f.1/", Err(NotPublic)),
            ("https://169.254.169.254/latest", Err(NotPublic)),
            ("https://[::ffff:10.0.0.1]/", Err(NotPublic)),
            ("https://[::1]/", Err(NotPublic)),
            ("http://127.0.0.1:8080/", Err(NotHttps)),
        ] {
            check(Reach::Public, url, expected);
        }
    }

    #[test]
    fn a_laptop_may_ask_itself_and_nothing_else_of_its_network() {
        check(Reach::Loopback, "http://127.0.0.1:8080/", Ok(()));
        check(Reach::Loopback, "http://[::1]:8080/", Ok(()));
        check(Reach::Loopback, "http://10.0.0.1:8080/", Err(RefusedUrl::NotHttps));
        check(Reach::Loopback, "https://10.0.0.1:8080/", Err(RefusedUrl::NotPublic));
        check(Reach::Loopback, "http://example.com/", Err(RefusedUrl::NotHttps));
    }
}
