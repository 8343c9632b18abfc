//! Options and precedence.

use super::{ip, options, owned, policy, url};
use crate::egress::{Options, Policy};
use crate::error::ErrorKind;

fn refusal(options: &Options) -> String {
    let error = Policy::new(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    error.to_string()
}

#[test]
fn an_entry_that_cannot_be_meant_is_refused_by_its_path() {
    for entry in [
        "10.0.0.0/99",
        "10.0.0/8",
        "",
        "*",
        "*.",
        "*.*.example.com",
        "a*.example.com",
        "*.10.0.0.1",
        ".example.com",
        "example..com",
        "example.com:80",
        "http://example.com",
        "[::1",
        "fe80::1%eth0",
        "999.1.1.1",
        "exa mple.com",
        "user@example.com",
        "example.com/path",
    ] {
        let message = refusal(&options(&["127.0.0.1", entry], &[]));
        let expected = format!(
            "egress.allow[1]: {entry:?} is neither a host name, an IP address nor a CIDR range"
        );
        assert_eq!(message, expected);
        assert!(refusal(&options(&[], &[entry])).starts_with("egress.deny[0]: "), "{entry}");
    }
}

#[test]
fn the_other_options_are_refused_by_their_paths() {
    let schemes = Some(owned(&["https", "ftp"]));
    let refused = [
        (Options { ports: Some(vec![]), ..Options::default() }, "egress.ports: "),
        (Options { ports: Some(vec![80, 0]), ..Options::default() }, "egress.ports[1]: 0 "),
        (Options { schemes: Some(vec![]), ..Options::default() }, "egress.schemes: "),
        (Options { schemes, ..Options::default() }, "egress.schemes[1]: \"ftp\" "),
        (
            Options { local_address: Some("eth0".into()), ..Options::default() },
            "egress.localAddress: \"eth0\" ",
        ),
        (
            Options { addresses: owned(&["192.0.2.1", "home"]), ..Options::default() },
            "egress.addresses[1]: \"home\" ",
        ),
    ];
    for (options, start) in refused {
        assert!(refusal(&options).starts_with(start), "{}", refusal(&options));
    }
}

#[test]
fn a_refused_proxy_does_not_show_its_password() {
    for proxy in [
        "proxy.test:3128",
        "alice:hunter2@proxy.test",
        "ftp://alice:hunter2@proxy.test",
        "socks4://alice:hunter2@proxy.test",
        "http://alice:hunter2@proxy.test/path",
        "http://alice:hunter2@proxy.test?query",
        "http://alice:hunter2@proxy.test:99999",
        "http://alice:hunter2@",
        "socks5://alice:hunter2@:1080",
        "socks5://",
        "",
    ] {
        let message = refusal(&Options { proxy: Some(proxy.into()), ..Options::default() });
        assert!(message.starts_with("egress.proxy: "), "{message}");
        assert!(!message.contains("alice") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn nothing_that_is_printed_shows_the_proxys_password() {
    let proxy = Some("http://alice:hunter2@proxy.test:3128".into());
    let options = Options { proxy, ..Options::default() };
    let printed = format!("{options:?} {:?}", Policy::new(&options).unwrap());
    assert!(!printed.contains("alice") && !printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("http://proxy.test"), "{printed}");
}

#[test]
fn deny_wins_over_allow_in_whatever_form_they_are_written() {
    let private = ip("10.1.2.3");
    for (allow, deny, host) in [
        (&["10.0.0.0/8"][..], &["10.1.2.3"][..], "a.example.com"),
        (&["10.1.2.3"], &["10.0.0.0/8"], "a.example.com"),
        (&["a.example.com"], &["10.1.2.3"], "a.example.com"),
        (&["10.0.0.0/8"], &["a.example.com"], "a.example.com"),
        (&["a.example.com"], &["*.example.com"], "a.example.com"),
        (&["*.example.com"], &["A.Example.COM."], "a.example.com"),
        (&["10.0.0.0/8"], &["*.example.com"], "A.EXAMPLE.COM."),
    ] {
        let failure = policy(allow, deny).check_address(host, private).unwrap_err();
        assert!(failure.message.contains("egress.deny[0]"), "{}", failure.message);
    }
}

#[test]
fn a_public_address_can_be_denied() {
    let policy = policy(&[], &["10.0.0.0/8", "8.8.8.0/24"]);
    let failure = policy.check_address("dns.google", ip("8.8.8.8")).unwrap_err();
    let expected = "8.8.8.8, an address of \"dns.google\", is denied by egress.deny[1]";
    assert_eq!(failure.message, expected);
    assert_eq!(policy.check_address("dns.google", ip("8.8.4.4")), Ok(()));
}

#[test]
fn an_allowed_name_is_open_at_every_address_and_opens_nothing_else() {
    let policy = policy(&["intranet.test", "*.svc.test"], &[]);
    for host in ["intranet.test", "INTRANET.test", "intranet.test.", "a.svc.test", "a.b.svc.test"] {
        assert_eq!(policy.check_address(host, ip("10.0.0.1")), Ok(()), "{host}");
    }
    for host in ["a.intranet.test", "svc.test", "xsvc.test", ".svc.test.evil", "10.0.0.1"] {
        assert!(policy.check_address(host, ip("10.0.0.1")).is_err(), "{host}");
    }
}

#[test]
fn a_denied_name_is_denied_before_it_is_resolved() {
    let policy = policy(&["*.example.com"], &["bad.example.com"]);
    for text in ["http://bad.example.com/", "http://BAD.example.com./", "http://b%61d.example.com/"]
    {
        let message = policy.check_url(&url(text)).unwrap_err().message;
        assert!(message.ends_with("is denied by egress.deny[0]"), "{message}");
    }
    assert_eq!(policy.check_url(&url("http://good.example.com/")), Ok(()));
}

#[test]
fn names_of_other_scripts_are_compared_in_their_ascii_form() {
    let policy = policy(&[], &["bücher.example"]);
    for text in ["http://bücher.example/", "http://xn--bcher-kva.example/", "http://BÜCHER.example"]
    {
        assert!(policy.check_url(&url(text)).is_err(), "{text}");
    }
}

#[test]
fn only_the_listed_ports_are_open() {
    let policy =
        Policy::new(&Options { ports: Some(vec![443, 8080]), ..Options::default() }).unwrap();
    for open in ["https://x.test/", "https://x.test:443/", "http://x.test:8080/"] {
        assert_eq!(policy.check_url(&url(open)), Ok(()), "{open}");
    }
    let failure = policy.check_url(&url("http://x.test/")).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::EgressDenied);
    assert_eq!(failure.message, "port 80 is not in egress.ports");
    assert!(super::policy(&[], &[]).check_url(&url("http://x.test:0/")).is_err());
}

#[test]
fn only_the_listed_schemes_are_open() {
    let schemes = Some(owned(&["https"]));
    let policy = Policy::new(&Options { schemes, ..Options::default() }).unwrap();
    assert_eq!(policy.check_url(&url("https://x.test/")), Ok(()));
    let message = policy.check_url(&url("http://x.test/")).unwrap_err().message;
    assert_eq!(message, "the scheme http: is not in egress.schemes");
    for text in ["ftp://x.test/", "file:///etc/passwd", "gopher://x.test/", "data:,x", "ws://x/"] {
        let failure = super::policy(&[], &[]).check_url(&url(text)).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::EgressDenied, "{text}");
    }
}
