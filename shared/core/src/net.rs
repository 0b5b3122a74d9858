//! Which addresses are the public internet's: what a request made for somebody else may
//! reach, so that nobody has us ask our own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not the public internet's: IANA's registry of special-purpose
/// addresses (RFC 6890), multicast, and what is reserved.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast and everything behind it, broadcast included.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Networks of IPv6 within 2000::/3, outside of which nothing is public, that are not.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    // IETF's protocols, Teredo and benchmarks among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
];

/// Whether `address` is one of the public internet. An IPv6 address that stands for one of
/// IPv4 is as public as that.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !NOT_PUBLIC_V4.iter().any(|(net, bits)| shares(v4.to_bits(), net.to_bits(), 32 - bits)),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4_of = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let inner = match segments {
        // Mapped (RFC 4291), translated by NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4_of(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(v4_of(high, low)),
        _ => None,
    };
    match inner {
        Some(v4) => is_public(IpAddr::V4(v4)),
        None => {
            let is_global = segments[0] & 0xe000 == 0x2000;
            let is_special =
                |(net, bits): &(Ipv6Addr, u32)| address.to_bits() >> (128 - bits) == net.to_bits() >> (128 - bits);
            is_global && !NOT_PUBLIC_V6.iter().any(is_special)
        }
    }
}

fn shares(address: u32, net: u32, host_bits: u32) -> bool {
    address >> host_bits == net >> host_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are() {
        let check = |addresses: &[&str], expected: bool| {
            for address in addresses {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        };
        check(&["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0"], true);
        check(&["169.253.255.255", "169.255.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"], true);
        check(&["0.0.0.0", "0.255.255.255", "10.0.0.1", "100.64.0.0", "100.127.255.255", "127.0.0.1"], false);
        check(&["127.255.255.255", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.168.0.1"], false);
        check(&["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.0", "198.19.255.255", "192.88.99.1"], false);
        check(&["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"], false);

        check(&["2606:4700:4700::1111", "2a00:1450:4001::1", "2002:0808:0808::1", "64:ff9b::8.8.8.8"], true);
        check(&["::ffff:8.8.8.8"], true);
        check(&["::", "::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "ff02::1", "2001:db8::1"], false);
        check(&["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8"], false);
        check(&["2002:7f00:0001::1", "2002:a9fe:a9fe::", "64:ff9b::10.0.0.1", "64:ff9b:1::1"], false);
        check(&["2001::1", "2001:2::1", "3fff::1", "fec0::1", "100::1", "5f00::1"], false);
    }
}
