//! The built command against an embedded broker, and against nothing.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use stompede::Version;
use stompede_broker::Broker;
use stompede_broker::scripted::ScriptedListener;
use stompede_test_support::TestProxy;
use stompede_test_support::certificates::Authority;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(20);

fn stompede(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stompede"));
    command.args(arguments).env_remove("STOMP_PASSCODE").env_remove("STOMP_PROXY").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Code, standard output and standard error of a run with this standard input.
async fn run(arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = stompede(arguments).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that fails early does not read.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = tokio::time::timeout(HANG, child.wait_with_output()).await.expect("no hang").expect("ran");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts to listen, and waits until it does.
async fn listen(arguments: &[&str]) -> Child {
    let mut child = stompede(arguments).spawn().expect("started");
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    tokio::time::timeout(HANG, stderr.read_line(&mut line)).await.expect("no hang").expect("a line");
    assert!(line.starts_with("listening on"), "{line}");
    child
}

async fn output(mut child: Child) -> String {
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    tokio::time::timeout(HANG, stdout.read_to_string(&mut text)).await.expect("no hang").expect("text");
    assert!(child.wait().await.expect("ended").success());
    text
}

async fn broker() -> (Broker, String, String) {
    let broker = Broker::builder().login("me", "secret").start().await.expect("started");
    let (ws, tcp) = (broker.ws_url().expect("it listens"), broker.tcp_url().expect("it listens"));
    let (ws, tcp) = (ws.to_owned(), tcp.to_owned());
    (broker, ws, tcp)
}

/// A folder for a test's files, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stompede-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("made");
        Self(path)
    }

    /// Writes a file; where.
    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("written");
        path.into_os_string().into_string().expect("UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LOGIN: [&str; 4] = ["--login", "me", "--passcode", "secret"];

#[tokio::test]
async fn what_one_sends_the_other_prints() {
    let (_broker, ws, tcp) = broker().await;
    let listener = listen(&[&["listen", &ws, "/queue/a", "--count", "3"], &LOGIN[..]].concat()).await;
    for (arguments, input) in [
        (vec!["from the command line"], &b""[..]),
        (vec![], b"from standard input"),
        (vec!["-"], b"\xff\x00"),
    ] {
        let arguments = [&["send", &tcp, "/queue/a"], &arguments[..], &LOGIN].concat();
        assert_eq!(run(&arguments, input).await, (Some(0), String::new(), String::new()));
    }
    assert_eq!(output(listener).await, "from the command line\nfrom standard input\n[2 bytes: ff00]\n");
}

#[tokio::test]
async fn json_lines_have_headers_and_body() {
    let (_broker, ws, _) = broker().await;
    let options = ["listen", &ws, "/queue/a", "--count", "1", "--json", "--ack", "client-individual"];
    let listener = listen(&[&options, &LOGIN[..]].concat()).await;
    let send = ["send", &ws, "/queue/a", "hi", "-H", "colour:a:b", "--content-type", "text/plain"];
    assert_eq!(run(&[&send, &LOGIN[..]].concat(), b"").await.0, Some(0));
    let line: serde_json::Value = serde_json::from_str(&output(listener).await).expect("JSON");
    assert_eq!((&line["text"], &line["headers"]["colour"]), (&"hi".into(), &"a:b".into()));
    assert_eq!(line["headers"]["content-type"], "text/plain");
}

#[tokio::test]
async fn the_passcode_may_come_from_a_file_or_the_environment() {
    let (_broker, ws, _) = broker().await;
    let path = std::env::temp_dir().join(format!("stompede-cli-passcode-{}", std::process::id()));
    std::fs::write(&path, "secret\n").expect("written");
    let file = path.to_str().expect("UTF-8");
    let by_file = run(&["send", &ws, "/topic/a", "x", "--login", "me", "--passcode-file", file], b"").await;
    assert_eq!(by_file.0, Some(0), "{}", by_file.2);
    // An exported variable is a default, not a contradiction.
    let mut by_both = stompede(&["send", &ws, "/topic/a", "x", "--login", "me", "--passcode-file", file]);
    by_both.env("STOMP_PASSCODE", "hunter2");
    assert!(by_both.status().await.expect("ran").success());
    std::fs::remove_file(&path).expect("removed");
    let mut by_env = stompede(&["send", &ws, "/topic/a", "x", "--login", "me"]);
    by_env.env("STOMP_PASSCODE", "secret");
    assert!(by_env.status().await.expect("ran").success());
    let wrong = run(&["send", &ws, "/topic/a", "x", "--login", "me", "--passcode", "hunter2"], b"").await;
    assert_eq!(wrong.0, Some(1));
    assert!(wrong.2.contains("login refused") && !wrong.2.contains("hunter2"), "{}", wrong.2);
    let alone = run(&["send", &ws, "/topic/a", "x", "--passcode", "hunter2"], b"").await;
    assert_eq!(alone.0, Some(2));
    assert!(alone.2.contains("--login") && !alone.2.contains("hunter2"), "{}", alone.2);
}

#[tokio::test]
async fn standard_input_without_end_is_refused() {
    let (_broker, ws, _) = broker().await;
    let more = vec![b'x'; (16 << 20) + 1];
    let (code, _, err) = run(&[&["send", &ws, "/topic/a"], &LOGIN[..]].concat(), &more).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("more than 16 MiB"), "{err}");
}

#[tokio::test]
async fn a_refused_subscription_is_never_called_listening() {
    let (_broker, ws, _) = broker().await;
    let (code, _, err) = run(&[&["listen", &ws, "/nowhere"], &LOGIN[..]].concat(), b"").await;
    assert_eq!(code, Some(1));
    assert!(err.contains("unknown destination") && !err.contains("listening"), "{err}");
}

#[tokio::test]
async fn nobody_reading_standard_error_is_no_panic() {
    let mut child = stompede(&["send", "tcp://127.0.0.1:1", "/queue/a", "x"]).spawn().expect("started");
    drop(child.stderr.take());
    let status = tokio::time::timeout(HANG, child.wait()).await.expect("no hang").expect("ran");
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn failures_say_what_and_exit_with_1_or_2() {
    let (code, out, err) = run(&["send", "tcp://127.0.0.1:1", "/queue/a", "x"], b"").await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("stompede: ") && err.contains("127.0.0.1:1"), "{err}");
    let (code, _, err) = run(&["listen", "localhost", "/queue/a"], b"").await;
    assert_eq!(code, Some(1));
    assert!(err.contains("URL"), "{err}");
    let (_broker, ws, _) = broker().await;
    let (code, _, err) = run(&[&["send", &ws, "/nowhere", "x"], &LOGIN[..]].concat(), b"").await;
    assert_eq!(code, Some(1));
    assert!(err.contains("unknown destination"), "{err}");
    assert_eq!(run(&["send"], b"").await.0, Some(2));
    assert_eq!(run(&["send", &ws, "/queue/a", "x", "-H", "no colon"], b"").await.0, Some(2));
}

/// A script that sends again what seems to have failed would double a message that the broker has confirmed.
#[tokio::test]
async fn a_confirmed_message_has_been_sent_however_the_connection_ends() {
    let broker = ScriptedListener::tcp().await.expect("a port");
    for (silent, confirmed, expected) in [
        (true, true, (Some(0), "confirmed")),
        (false, true, (Some(0), "confirmed")),
        (true, false, (Some(1), "did not end the connection")),
    ] {
        let receipt: &[&str] = if confirmed { &[] } else { &["--no-receipt"] };
        let arguments = [&["send", broker.url(), "/queue/a", "hi", "--timeout", "1"], receipt].concat();
        let serve = async {
            let mut peer = broker.accept().await.expect("a client");
            peer.greet(Version::V1_2).await.expect("CONNECT");
            let send = peer.expect("SEND\ndestination:/queue/a\n\nhi").await.expect("the message");
            if confirmed {
                peer.confirm(&send).await.expect("it waits");
            }
            peer.expect("DISCONNECT").await.expect("its goodbye");
            if silent {
                peer.end().await.expect("it does not wait for ever");
            } else {
                peer.send("ERROR\nmessage:shutting down\n\n\0").await.expect("it waits");
            }
        };
        let ((code, out, err), ()) = tokio::join!(run(&arguments, b""), serve);
        assert_eq!((code, out.as_str()), (expected.0, ""), "{err}");
        assert!(err.contains(expected.1), "{err}");
    }
}

/// Starts the embedded broker with these options more, and waits for the URLs.
async fn run_broker(more: &[&str], count: usize) -> (Child, Vec<String>) {
    let options = ["broker", "--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"];
    let mut child = stompede(&[&options, more].concat()).spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut urls = Vec::new();
    while urls.len() < count {
        let line = tokio::time::timeout(HANG, lines.next_line()).await.expect("no hang");
        urls.push(line.expect("read").expect("a URL"));
    }
    (child, urls)
}

#[tokio::test]
async fn the_embedded_broker_prints_its_urls() {
    let (mut child, urls) = run_broker(&[], 2).await;
    for url in urls {
        assert_eq!(run(&["send", &url, "/topic/a", "x"], b"").await.0, Some(0), "{url}");
    }
    child.kill().await.expect("killed");
}

#[tokio::test]
async fn over_tls_certificates_decide_and_a_proxy_passes_on() {
    let root = Authority::new("root");
    let identity = root.loopback();
    let folder = Folder::new("tls");
    let (chain, key) =
        (folder.write("broker.pem", &identity.chain), folder.write("broker.key", &identity.key));
    let options = ["--tls-cert", &chain, "--tls-key", &key, "--tls", "127.0.0.1:0", "--wss", "127.0.0.1:0"];
    let (mut child, urls) = run_broker(&options, 4).await;
    let schemes: Vec<_> = urls.iter().filter_map(|url| url.split(':').next()).collect();
    assert_eq!(schemes, ["ws", "tcp", "wss", "tls"]);

    let ca = folder.write("ca.pem", &root.pem);
    for url in &urls[2..] {
        let sent = run(&["send", url, "/queue/a", "x", "--ca", &ca], b"").await;
        assert_eq!(sent, (Some(0), String::new(), String::new()));
        assert_eq!(run(&["send", url, "/queue/a", "x", "--insecure"], b"").await.0, Some(0));
        let (code, _, err) = run(&["send", url, "/queue/a", "x"], b"").await;
        assert_eq!(code, Some(1));
        assert!(err.contains("an authority that is not trusted"), "{err}");
    }
    let proxy = TestProxy::start(Some("Basic dXNlcjpzM2NyZXQ=")).await;
    let through = format!("user:s3cret@{}", proxy.address);
    let send = ["send", &urls[2], "/queue/a", "x", "--ca", &ca];
    assert_eq!(run(&[&send[..], &["--proxy", &through]].concat(), b"").await.0, Some(0));
    assert!(stompede(&send).env("STOMP_PROXY", &through).status().await.expect("ran").success());
    assert_eq!(proxy.requests.lock().expect("unpoisoned").len(), 2);
    let (code, _, err) = run(&[&send[..], &["--proxy", &proxy.address]].concat(), b"").await;
    assert_eq!(code, Some(1));
    assert!(err.contains("407"), "{err}");
    child.kill().await.expect("killed");

    let authority = Authority::new("of clients");
    let clients = folder.write("clients.pem", &authority.pem);
    let (mut child, urls) = run_broker(&[&options[..], &["--tls-client-ca", &clients]].concat(), 4).await;
    let me = authority.client();
    let (cert, own_key) = (folder.write("me.pem", &me.chain), folder.write("me.key", &me.key));
    for url in &urls[2..] {
        let send = ["send", url, "/queue/a", "x", "--ca", &ca];
        let shown = run(&[&send[..], &["--cert", &cert, "--key", &own_key]].concat(), b"").await;
        assert_eq!(shown.0, Some(0), "{}", shown.2);
        let (code, _, err) = run(&send, b"").await;
        assert_eq!(code, Some(1));
        assert!(err.contains("it wants a client certificate"), "{err}");
    }
    child.kill().await.expect("killed");

    let (code, _, err) = run(&["broker", "--tls-cert", &chain], b"").await;
    assert_eq!(code, Some(2));
    assert!(err.contains("--tls-key"), "{err}");
    let (code, _, err) = run(&["broker", "--tls-cert", &chain, "--tls-key", &chain], b"").await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no private key"), "{err}");
}
