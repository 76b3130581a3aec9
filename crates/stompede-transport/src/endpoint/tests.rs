use super::Endpoint;
use crate::TransportErrorKind;

fn parts(url: &str) -> (String, String, Option<u16>, String) {
    let endpoint = Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    (endpoint.scheme().into(), endpoint.host().into(), endpoint.port(), endpoint.path().into())
}

fn expect(url: &str, scheme: &str, host: &str, port: Option<u16>, path: &str) {
    assert_eq!(parts(url), (scheme.into(), host.into(), port, path.into()), "{url}");
}

#[test]
fn schemes_are_normalised_and_bring_their_ports() {
    expect("ws://broker", "ws", "broker", Some(80), "/");
    expect("WSS://Broker.Example", "wss", "broker.example", Some(443), "/");
    expect("stomp://broker", "tcp", "broker", Some(61613), "");
    expect("tcp://broker:1", "tcp", "broker", Some(1), "");
    expect("ssl://broker", "tls", "broker", Some(61614), "");
    expect("stomp+ssl://broker/", "tls", "broker", Some(61614), "/");
    expect("ws://broker:/x", "ws", "broker", Some(80), "/x");
}

#[test]
fn paths_and_queries_stay_as_written() {
    expect("ws://broker/a%20b//c?token=x%2Fy&z", "ws", "broker", Some(80), "/a%20b//c?token=x%2Fy&z");
    expect("ws://broker?token=1", "ws", "broker", Some(80), "/?token=1");
}

#[test]
fn foreign_schemes_are_kept_for_other_connectors() {
    expect("unix:/run/broker.sock", "unix", "", None, "/run/broker.sock");
    expect("unix:///run/bröker.sock", "unix", "", None, "/run/bröker.sock");
    expect("vsock://3:9000", "vsock", "3", Some(9000), "");
}

#[test]
fn ipv6_hosts_lose_their_brackets_and_get_them_back() {
    let endpoint = Endpoint::parse("ws://[::1]:15674/ws").unwrap();
    assert_eq!(endpoint.host(), "::1");
    assert_eq!(endpoint.authority(), "[::1]:15674");
    assert_eq!(endpoint.to_string(), "ws://[::1]:15674/ws");
    assert_eq!(Endpoint::parse("wss://[2001:DB8::1]").unwrap().authority(), "[2001:db8::1]");
}

#[test]
fn the_default_port_is_left_out_of_the_authority() {
    assert_eq!(Endpoint::parse("ws://broker:80/").unwrap().authority(), "broker");
    assert_eq!(Endpoint::parse("ws://broker:443/").unwrap().authority(), "broker:443");
}

#[test]
fn credentials_are_decoded_and_split_at_the_first_colon() {
    let endpoint = Endpoint::parse("tcp://us%40er:p%3a%C3%A4:s@s@broker").unwrap();
    let credentials = endpoint.credentials().unwrap();
    assert_eq!((credentials.login(), credentials.passcode()), ("us@er", Some("p:ä:s@s")));
    assert_eq!(endpoint.host(), "broker");
    assert_eq!(Endpoint::parse("tcp://user@broker").unwrap().credentials().unwrap().passcode(), None);
    assert_eq!(Endpoint::parse("tcp://user:@broker").unwrap().credentials().unwrap().passcode(), Some(""));
    assert_eq!(Endpoint::parse("tcp://broker").unwrap().credentials(), None);
}

#[test]
fn secrets_are_never_shown() {
    let endpoint = Endpoint::parse("ws://user:s3cret@broker/ws?token=s3cret").unwrap();
    assert_eq!(endpoint.to_string(), "ws://user:***@broker/ws?***");
    for shown in [format!("{endpoint:?}"), format!("{endpoint:#?}"), format!("{:?}", endpoint.credentials())]
    {
        assert!(shown.contains("user") && !shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn what_is_not_a_usable_url_is_an_error_that_does_not_repeat_it() {
    let long = format!("ws://s3cret/{}", "x".repeat(5000));
    for url in [
        "",
        ":",
        "/",
        "//",
        "://",
        "s3cret",
        "s3cret:61613",
        "user:s3cret@broker",
        "broker/s3cret",
        "1ws://s3cret",
        "w s://s3cret",
        "ws:s3cret",
        "ws:/s3cret",
        "unix:s3cret",
        "ws://",
        "ws:///s3cret",
        "tcp://:61613",
        "tls://s3cret@",
        "ws://s3cret:99999",
        "ws://s3cret:0",
        "ws://s3cret:+80",
        "ws://s3cret:-1",
        "ws://s3cret:8o",
        "ws://::1",
        "ws://::1/s3cret",
        "ws://[::1",
        "ws://[s3cret]",
        "ws://[::1]s3cret",
        "ws://[fe80::1%25eth0]/",
        "ws://[]",
        "ws://s3cret:80:80",
        "ws://user:s3cret%@broker",
        "ws://user:s3cret%4@broker",
        "ws://user:s3cret%zz@broker",
        "ws://user:s3cret%ff@broker",
        "ws://user:s3cret%0a@broker",
        "ws://user:s3cret%00@broker",
        "ws://user:s3c/ret@broker",
        "ws://user:12/s3cret@broker",
        "ws://user:12?s3cret@broker",
        "ws://user:s3cret#x@broker",
        "ws://broker/#s3cret",
        "ws://broker/s3 cret",
        "ws://broker/s3cret\r\nHost: evil",
        "ws://broker/s3cret\n",
        "ws://broker/s3cret\0",
        "ws://bro\tker/s3cret",
        "ws://bröker/s3cret",
        "ws://broker/s3cretä",
        "ws://broker\u{a0}/s3cret",
        "ws://broker\u{85}/s3cret",
        "ws://bro%6ber/s3cret",
        "ws://bro\\ker/s3cret",
        "unix://user:s3cret@/run/x",
        "unix://:80/s3cret",
        &long,
    ] {
        let Err(error) = Endpoint::parse(url) else { panic!("{url:?} was taken") };
        assert_eq!(error.kind(), &TransportErrorKind::InvalidEndpoint);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3c") && !shown.contains("ret"), "{url:?}: {shown}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_lets_a_control_character_through(
        scheme in "(ws|wss|tcp|tls|unix|x)?:?/{0,3}", rest in "([a-z:@%/?\\[\\]#0-9. ]|\\PC|\\p{Cc}){0,40}"
    ) {
        if let Ok(endpoint) = Endpoint::parse(&format!("{scheme}{rest}")) {
            let all = format!("{}{}{}", endpoint.scheme(), endpoint.authority(), endpoint.path());
            proptest::prop_assert!(!all.contains(|c: char| c.is_control() || c.is_whitespace()));
            let _ = format!("{endpoint} {endpoint:?}");
        }
    }
}
