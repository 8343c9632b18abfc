//! Address ranges that are not public: pure, and the same on every machine.
//!
//! The ranges are those of IANA's IPv4 and IPv6 Special-Purpose Address Registries, the multicast
//! and unallocated space, and the addresses at which cloud providers serve
//! credentials. The standard library's predicates are not used: the ones that matter are unstable, and a
//! table can be read against the registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The kind of special range that a non-public address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpecialRange {
    /// Serves credentials or configuration to virtual machines.
    CloudMetadata,
    /// `0.0.0.0/8` and `::`: on many systems equivalent to loopback.
    ThisNetwork,
    Loopback,
    Private,
    LinkLocal,
    /// Shared address space of carrier-grade NAT, RFC 6598.
    CarrierNat,
    /// `192.0.0.0/24` and `2001::/23`, IETF protocol assignments.
    Protocol,
    Documentation,
    Benchmarking,
    /// `192.88.99.0/24`, the withdrawn 6to4 relay anycast.
    RelayAnycast,
    Multicast,
    Broadcast,
    /// Kept by IANA for uses to come.
    Reserved,
    Ipv4Mapped,
    Ipv4Compatible,
    /// `::ffff:0:0:0/96`, RFC 2765.
    Ipv4Translated,
    /// The well-known and the local-use prefix of IPv4/IPv6 translation, RFC 6052 and RFC 8215.
    Nat64,
    SixToFour,
    Teredo,
    /// `100::/64` and the dummy prefix beside it.
    DiscardOnly,
    Orchid,
    SegmentRouting,
    UniqueLocal,
    SiteLocal,
}

impl SpecialRange {
    /// Returns the name in messages.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::CloudMetadata => "cloud metadata",
            Self::ThisNetwork => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::CarrierNat => "carrier-grade NAT",
            Self::Protocol => "IETF protocol assignment",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::RelayAnycast => "6to4 relay",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Ipv4Mapped => "IPv4-mapped",
            Self::Ipv4Compatible => "IPv4-compatible",
            Self::Ipv4Translated => "IPv4-translated",
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::DiscardOnly => "discard-only",
            Self::Orchid => "ORCHID",
            Self::SegmentRouting => "SRv6 segment",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

/// The first match counts, so single addresses stand before the ranges that hold them.
const IPV4: &[(Ipv4Net, SpecialRange)] = &[
    (v4(169, 254, 169, 254, 32), SpecialRange::CloudMetadata), // most providers
    (v4(169, 254, 170, 2, 32), SpecialRange::CloudMetadata),   // Amazon ECS task credentials
    (v4(169, 254, 170, 23, 32), SpecialRange::CloudMetadata),  // Amazon EKS pod identity
    (v4(169, 254, 42, 42, 32), SpecialRange::CloudMetadata),   // Scaleway
    (v4(169, 254, 0, 23, 32), SpecialRange::CloudMetadata),    // Tencent Cloud
    (v4(100, 100, 100, 200, 32), SpecialRange::CloudMetadata), // Alibaba Cloud
    (v4(168, 63, 129, 16, 32), SpecialRange::CloudMetadata),   // Azure WireServer, a public address
    (v4(192, 0, 0, 192, 32), SpecialRange::CloudMetadata),     // Oracle Cloud, classic
    (v4(255, 255, 255, 255, 32), SpecialRange::Broadcast),
    (v4(0, 0, 0, 0, 8), SpecialRange::ThisNetwork),
    (v4(10, 0, 0, 0, 8), SpecialRange::Private),
    (v4(100, 64, 0, 0, 10), SpecialRange::CarrierNat),
    (v4(127, 0, 0, 0, 8), SpecialRange::Loopback),
    (v4(169, 254, 0, 0, 16), SpecialRange::LinkLocal),
    (v4(172, 16, 0, 0, 12), SpecialRange::Private),
    (v4(192, 0, 0, 0, 24), SpecialRange::Protocol),
    (v4(192, 0, 2, 0, 24), SpecialRange::Documentation),
    (v4(192, 88, 99, 0, 24), SpecialRange::RelayAnycast),
    (v4(192, 168, 0, 0, 16), SpecialRange::Private),
    (v4(198, 18, 0, 0, 15), SpecialRange::Benchmarking),
    (v4(198, 51, 100, 0, 24), SpecialRange::Documentation),
    (v4(203, 0, 113, 0, 24), SpecialRange::Documentation),
    (v4(224, 0, 0, 0, 4), SpecialRange::Multicast),
    (v4(240, 0, 0, 0, 4), SpecialRange::Reserved),
];

/// IPv6 ranges in the same form. Addresses outside these and outside `2000::/3` are reserved.
const IPV6: &[(Ipv6Net, SpecialRange)] = &[
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), SpecialRange::CloudMetadata), // Amazon EC2
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128), SpecialRange::CloudMetadata),  // Amazon EKS
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), SpecialRange::CloudMetadata),  // Google Cloud
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), SpecialRange::CloudMetadata),   // Scaleway
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), SpecialRange::ThisNetwork),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), SpecialRange::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), SpecialRange::Ipv4Compatible),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), SpecialRange::Ipv4Mapped),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), SpecialRange::Ipv4Translated),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), SpecialRange::Nat64),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), SpecialRange::Nat64),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), SpecialRange::DiscardOnly),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), SpecialRange::DiscardOnly),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), SpecialRange::Teredo),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), SpecialRange::Benchmarking),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), SpecialRange::Orchid),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), SpecialRange::Orchid),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), SpecialRange::Protocol),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), SpecialRange::Documentation),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), SpecialRange::SixToFour),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), SpecialRange::Documentation),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), SpecialRange::SegmentRouting),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), SpecialRange::UniqueLocal),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), SpecialRange::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), SpecialRange::SiteLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), SpecialRange::Multicast),
];

/// The only IPv6 space that IANA hands out for public use.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Returns the special range that an address lies in, or none when it is public.
pub(super) fn special_range(ip: IpAddr) -> Option<SpecialRange> {
    match ip {
        IpAddr::V4(ip) => first_match(IPV4.iter().map(|(net, range)| (net.contains(&ip), *range))),
        IpAddr::V6(ip) => first_match(IPV6.iter().map(|(net, range)| (net.contains(&ip), *range)))
            .or_else(|| (!GLOBAL_UNICAST.contains(&ip)).then_some(SpecialRange::Reserved)),
    }
}

fn first_match(mut ranges: impl Iterator<Item = (bool, SpecialRange)>) -> Option<SpecialRange> {
    ranges.find_map(|(contains, range)| contains.then_some(range))
}

/// Returns whether an entry of `allow` opens an address. Of the forms that embed an IPv4 address,
/// only the mapped one is opened by an IPv4 entry, because only there the system connects to that
/// IPv4 address itself. The others go through a translator or a tunnel with an unknown end.
pub(super) fn opens(net: &IpNet, ip: IpAddr) -> bool {
    net.contains(&ip)
        || match ip {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some_and(|v4| net.contains(&IpAddr::V4(v4))),
            IpAddr::V4(_) => false,
        }
}

/// Returns whether an entry of `deny` closes an address: in every form that leads to it.
pub(super) fn closes(net: &IpNet, ip: IpAddr) -> bool {
    net.contains(&ip)
        || match (net, ip) {
            (IpNet::V4(net), IpAddr::V6(ip)) => {
                embedded_ipv4(ip).into_iter().flatten().any(|ip| net.contains(&ip))
            }
            // An entry in the mapped form means the IPv4 address. A shorter prefix means IPv6.
            (IpNet::V6(net), IpAddr::V4(ip)) => {
                net.prefix_len() >= 96 && net.contains(&ip.to_ipv6_mapped())
            }
            _ => false,
        }
}

/// Returns the IPv4 addresses that an IPv6 address carries. Teredo carries two: its server and its
/// client.
fn embedded_ipv4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = ip.to_bits();
    let at = |shift: u32| {
        let [.., a, b, c, d] = (bits >> shift).to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match special_range(IpAddr::V6(ip)) {
        Some(
            SpecialRange::Ipv4Mapped
            | SpecialRange::Ipv4Compatible
            | SpecialRange::Ipv4Translated
            | SpecialRange::Nat64,
        ) => [Some(at(0)), None],
        Some(SpecialRange::SixToFour) => [Some(at(80)), None],
        Some(SpecialRange::Teredo) => [Some(at(64)), Some(Ipv4Addr::from_bits(!at(0).to_bits()))],
        _ => [None, None],
    }
}
