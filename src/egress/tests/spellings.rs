//! Every way to write an address into a URL.

use url::Url;

use super::{policy, url};
use crate::error::ErrorKind;

/// URLs whose host is a special address, however it is written.
const DISGUISED: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f.1/",
    "http://0X7F.0x0.0x0.0x1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://2130706433./",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://127.000.000.001/",
    "http://00000177.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0x0/",
    "http://４.４.４.４@１２７.０.０.１/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://%6c%6f.127.0.0.1@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com%2f@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1\\",
    "http:///127.0.0.1/",
    "HTTP://127.0.0.1/",
    "\thttp://127.0.\n0.1/ ",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::FFFF:7F00:0001]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xA9FEA9FE/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "https://168.63.129.16/",
    "http://100.100.100.200/",
    "http://10.0.0.1:8080/",
];

/// Texts that are no URL for us: there is nothing to admit.
const INVALID: &[&str] = &[
    "http://256.0.0.1/",
    "http://127.0.0.1.1/",
    "http://0x7f.0.0.0x100/",
    "http://4294967296/",
    "http://127..1/",
    "http://1.2.3.08/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1",
    "http://::1/",
    "http://[::ffff:127.1]/",
    "http://[::ffff:0x7f.0.0.1]/",
    "http://127.0.0.1%00.example.com/",
    "http://exa mple.com/",
    "http://127.0.0.1:65536/",
    "http:///",
    "http://@/",
];

#[test]
fn an_address_is_recognised_in_every_spelling() {
    for text in DISGUISED {
        let failure = policy(&[], &[]).check_url(&url(text)).expect_err(text);
        assert_eq!(failure.kind, ErrorKind::EgressDenied, "{text}");
        assert!(failure.message.contains("is not public"), "{text}: {}", failure.message);
    }
}

#[test]
fn what_is_no_address_does_not_parse() {
    for text in INVALID {
        assert!(Url::parse(text).is_err(), "{text} is {:?}", Url::parse(text));
    }
}

#[test]
fn allowing_loopback_opens_every_spelling_of_its_ipv4_addresses() {
    for text in ["http://127.1/", "http://0x7f.1/", "http://[::ffff:7f00:1]/", "http://2130706433"]
    {
        assert_eq!(policy(&["127.0.0.0/8"], &[]).check_url(&url(text)), Ok(()), "{text}");
    }
}

#[test]
fn a_name_is_left_to_the_resolver() {
    for text in ["http://localhost/", "http://localhost./", "http://LOCALHOST", "http://x.test:1/"]
    {
        assert_eq!(policy(&[], &[]).check_url(&url(text)), Ok(()), "{text}");
    }
}

#[test]
fn a_message_repeats_neither_user_info_nor_path_nor_query() {
    let policy = policy(&[], &["evil.test"]);
    for text in [
        "http://alice:hunter2@127.0.0.1:81/secret-path?token=secret-query#secret-fragment",
        "http://alice:hunter2@evil.test/secret-path?token=secret-query",
        "ftp://alice:hunter2@example.com/secret-path?token=secret-query",
        "http://alice:hunter2@example.com:0/secret-path",
    ] {
        let message = policy.check_url(&url(text)).unwrap_err().message;
        for secret in ["alice", "hunter2", "secret", "token"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

#[test]
fn a_message_does_not_repeat_a_host_of_any_length() {
    let host = "a.".repeat(100_000) + "evil.test";
    let message = policy(&[], &["*.evil.test"]).check_url(&url(&format!("http://{host}/")));
    assert!(message.unwrap_err().message.len() < 400);
}
