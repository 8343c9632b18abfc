//! Every special range: its first address, its last, and the ones just outside.

use super::{ip, policy};
use crate::egress::address::special_range;
use crate::error::ErrorKind;

/// Range, name, and whether the address before the first and the one after the last are public.
const RANGES: &[(&str, &str, &str, [&str; 2])] = &[
    // first, last, name, [before, after]; "" where the neighbour lies in another special range
    ("0.0.0.0", "0.255.255.255", "unspecified", ["", "1.0.0.0"]),
    ("10.0.0.0", "10.255.255.255", "private", ["9.255.255.255", "11.0.0.0"]),
    ("100.64.0.0", "100.127.255.255", "carrier-grade NAT", ["100.63.255.255", "100.128.0.0"]),
    ("127.0.0.0", "127.255.255.255", "loopback", ["126.255.255.255", "128.0.0.0"]),
    ("169.254.0.0", "169.254.255.255", "link-local", ["169.253.255.255", "169.255.0.0"]),
    ("172.16.0.0", "172.31.255.255", "private", ["172.15.255.255", "172.32.0.0"]),
    ("192.0.0.0", "192.0.0.255", "IETF protocol assignment", ["191.255.255.255", "192.0.1.0"]),
    ("192.0.2.0", "192.0.2.255", "documentation", ["192.0.1.255", "192.0.3.0"]),
    ("192.88.99.0", "192.88.99.255", "6to4 relay", ["192.88.98.255", "192.88.100.0"]),
    ("192.168.0.0", "192.168.255.255", "private", ["192.167.255.255", "192.169.0.0"]),
    ("198.18.0.0", "198.19.255.255", "benchmarking", ["198.17.255.255", "198.20.0.0"]),
    ("198.51.100.0", "198.51.100.255", "documentation", ["198.51.99.255", "198.51.101.0"]),
    ("203.0.113.0", "203.0.113.255", "documentation", ["203.0.112.255", "203.0.114.0"]),
    ("224.0.0.0", "239.255.255.255", "multicast", ["223.255.255.255", ""]),
    ("240.0.0.0", "255.255.255.254", "reserved", ["", ""]),
    ("255.255.255.255", "255.255.255.255", "broadcast", ["", ""]),
    ("168.63.129.16", "168.63.129.16", "cloud metadata", ["168.63.129.15", "168.63.129.17"]),
    ("::", "::", "unspecified", ["", ""]),
    ("::1", "::1", "loopback", ["", ""]),
    ("::2", "::ffff:ffff", "IPv4-compatible", ["", ""]),
    ("::ffff:0.0.0.0", "::ffff:255.255.255.255", "IPv4-mapped", ["", ""]),
    ("::ffff:0:0.0.0.0", "::ffff:0:255.255.255.255", "IPv4-translated", ["", ""]),
    ("64:ff9b::", "64:ff9b::ffff:ffff", "NAT64", ["", ""]),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "NAT64", ["", ""]),
    ("100::", "100::ffff:ffff:ffff:ffff", "discard-only", ["", ""]),
    ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "discard-only", ["", ""]),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo", [PUBLIC_BEFORE_2001, ""]),
    ("2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "IETF protocol assignment", ["", ""]),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking", ["", ""]),
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHID", ["", ""]),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "ORCHID", ["", ""]),
    (
        "2001:30::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "IETF protocol assignment",
        ["", "2001:200::"],
    ),
    (
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "documentation",
        ["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
    ),
    (
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "6to4",
        ["2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"],
    ),
    (
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "documentation",
        ["3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"],
    ),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "SRv6 segment", ["", ""]),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local", ["", ""]),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local", ["", ""]),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local", ["", ""]),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast", ["", ""]),
    // What IANA has not allocated, on both sides of 2000::/3.
    ("200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", ["", "2000::"]),
    ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", [LAST_PUBLIC, ""]),
    ("6000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", ["", ""]),
    ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", ["", ""]),
];

const PUBLIC_BEFORE_2001: &str = "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
const LAST_PUBLIC: &str = "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

const METADATA: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.42.42",
    "169.254.0.23",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:42::42",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "2620:4f:8000::1",
];

#[test]
fn every_special_range_begins_and_ends_where_the_registry_says() {
    for (first, last, name, neighbours) in RANGES {
        for address in [first, last] {
            let range = special_range(ip(address)).map(super::super::address::SpecialRange::as_str);
            assert_eq!(range, Some(*name), "{address}");
        }
        for address in neighbours.iter().filter(|address| !address.is_empty()) {
            assert_eq!(special_range(ip(address)), None, "{address}");
        }
    }
}

#[test]
fn metadata_addresses_are_named_as_such() {
    for address in METADATA {
        let range = special_range(ip(address)).unwrap();
        assert_eq!(range.as_str(), "cloud metadata", "{address}");
    }
}

#[test]
fn public_addresses_are_open_by_default() {
    for address in PUBLIC {
        assert_eq!(policy(&[], &[]).check_address("example.com", ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn special_ranges_are_closed_by_default_and_the_message_says_how_to_open_them() {
    let addresses = RANGES.iter().flat_map(|(first, last, ..)| [first, last]).chain(METADATA);
    for address in addresses {
        let failure = policy(&[], &[]).check_address("example.com", ip(address)).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::EgressDenied, "{address}");
        assert!(failure.message.contains("egress.allow"), "{}", failure.message);
        assert!(failure.message.contains(&ip(address).to_string()), "{}", failure.message);
    }
}

#[test]
fn opening_an_ipv4_range_opens_its_mapped_form_and_no_other_embedding() {
    let policy = policy(&["127.0.0.0/8"], &[]);
    for open in ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"] {
        assert_eq!(policy.check_address("x.test", ip(open)), Ok(()), "{open}");
    }
    let closed = [
        "::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::127.0.0.1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001::80ff:fffe",
    ];
    for closed in closed {
        assert!(policy.check_address("x.test", ip(closed)).is_err(), "{closed}");
    }
}

#[test]
fn embedded_forms_are_opened_by_their_own_range() {
    for (entry, address) in [
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8"),
        ("2002:a00:1::/48", "2002:a00:1::1"),
        ("2001::/32", "2001::1"),
        ("::/96", "::127.0.0.1"),
    ] {
        assert_eq!(policy(&[entry], &[]).check_address("x.test", ip(address)), Ok(()), "{entry}");
    }
}

#[test]
fn denying_an_ipv4_address_denies_every_form_that_leads_to_it() {
    let policy = policy(&["0.0.0.0/0", "::/0"], &["8.8.8.8"]);
    let forms = [
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808::1",
        "2001::f7f7:f7f7",
    ];
    for form in forms {
        assert!(policy.check_address("x.test", ip(form)).is_err(), "{form}");
    }
    assert_eq!(policy.check_address("x.test", ip("8.8.8.9")), Ok(()));
    assert_eq!(policy.check_address("x.test", ip("64:ff9b::8.8.8.9")), Ok(()));
}

#[test]
fn denying_a_mapped_address_denies_the_ipv4_address() {
    let denied = policy(&[], &["::ffff:8.8.8.8"]);
    assert!(denied.check_address("x.test", ip("8.8.8.8")).is_err());
    let no_ipv6 = policy(&[], &["::/0"]);
    assert_eq!(no_ipv6.check_address("x.test", ip("8.8.8.8")), Ok(()));
    assert!(no_ipv6.check_address("x.test", ip("2606:4700::1")).is_err());
}
