//! Sessions with scripted servers: seeded dialogues of every kind, and the ones that matter most.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};

use super::*;
use crate::delivery::{Failure, Verdict};
use crate::destinations::email::server::Encryption;
use crate::egress::{NetworkPlace, Progress};

const MAIL: &[u8] = b"Subject: fuzz\r\n\r\n.dot\r\nend\r\n";
const END: &[u8] = b"\r\n.\r\n";

/// Numbers that can be had again (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// The bytes that the client has written.
type Log = Arc<Mutex<Vec<u8>>>;

/// The client's side of a connection, which logs what is written.
struct Tap {
    stream: DuplexStream,
    log: Log,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = written {
            self.log.lock().unwrap().extend_from_slice(&buf[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server that mostly does what it should.
struct SmtpServer {
    stream: DuplexStream,
    random: Random,
    log: Log,
    /// One step in so many goes wrong; none: all are right.
    oddity: Option<u64>,
    /// True if a 2xx reply was sent after the client had written the end of the mail.
    has_taken: bool,
    was_odd: bool,
}

impl SmtpServer {
    /// Talks until the client or the script ends it.
    async fn talk(&mut self) -> Option<()> {
        self.reply("220 mx").await?;
        loop {
            let line = self.line().await?;
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => *self.random.of(&[
                    "250-mx\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN",
                    "250-mx\r\n250-8bitmime\r\n250-Size 1000\r\n250 auth login",
                    "250-m\u{fc}x\r\n250-pipelining\r\n250-STARTTLS\r\n250 AUTH=LOGIN PLAIN",
                ]),
                "DATA" => "354 go",
                "AUTH" if line.eq_ignore_ascii_case("AUTH LOGIN") => "334 VXNlcm5hbWU6",
                "AUTH" => "235 welcome",
                "U0VD" | "TUU=" => {
                    if verb == "TUU=" {
                        "334 UGFzc3dvcmQ6"
                    } else {
                        "235 ok"
                    }
                }
                "STAR" => "454 not now",
                _ => "250 ok",
            };
            self.reply(reply).await?;
            if reply == "354 go" {
                self.content().await?;
                self.reply("250 queued").await?;
            }
        }
    }

    async fn byte(&mut self) -> Option<u8> {
        self.stream.read_u8().await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte().await?);
        }
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn content(&mut self) -> Option<()> {
        let mut content = Vec::new();
        while !content.ends_with(END) {
            content.push(self.byte().await?);
            if self.is_odd(20) {
                let early =
                    *self.random.of(&["250 queued", "552 too big", "354 go", "421 bye", "2"]);
                self.send(format!("{early}\r\n").as_bytes()).await?;
            }
        }
        Some(())
    }

    fn is_odd(&mut self, rarer: u64) -> bool {
        let odd = self.oddity.is_some_and(|oddity| self.random.below(oddity * rarer) == 0);
        self.was_odd |= odd;
        odd
    }

    /// Sends the scripted reply, or a malformed one.
    async fn reply(&mut self, reply: &str) -> Option<()> {
        let right = format!("{reply}\r\n").into_bytes();
        if !self.is_odd(1) {
            return self.send(&right).await;
        }
        let bytes = match self.random.below(12) {
            0 => return None,
            1 => return std::future::pending().await,
            2 => [&right[..], &right].concat(),
            3 => [&right[..], b"250 queued\r\n250 queued\r\n"].concat(),
            4 => [b"250 early\r\n", &right[..]].concat(),
            5 => right[..right.len() / 2].to_vec(),
            6 => b"250-no end\r\n".to_vec(),
            7 => b"4\xfc1 \xff\xfe\r\n".to_vec(),
            8 => (0..20).map(|_| self.random.next().to_le_bytes()[0]).collect(),
            9 => b"421 closing\r\n".to_vec(),
            _ => {
                let code = 200 + self.random.below(400);
                format!("{code} \u{fc}ber\r\n").into_bytes()
            }
        };
        self.send(&bytes).await
    }

    /// Sends bytes in pieces.
    async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        let is_positive = bytes.windows(4).any(|w| w[0] == b'2' && w[3] == b' ');
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = 1 + usize::try_from(self.random.below(40)).unwrap();
            let (piece, after) = rest.split_at(size.min(rest.len()));
            // A reply that is in transit when the mail ends cannot be distinguished from one to the
            // mail.
            self.has_taken |= is_positive && self.log.lock().unwrap().ends_with(END);
            self.stream.write_all(piece).await.ok()?;
            if self.random.below(2) == 0 {
                tokio::task::yield_now().await;
            }
            rest = after;
        }
        Some(())
    }
}

/// Returns the client's part: one mail. `Err` has whether the mail itself was to be sent.
async fn client(connection: SmtpStream, encryption: Encryption) -> Result<Reply, (Stop, bool)> {
    let login = Login::Password { user: "ME".to_owned(), password: "SEC".to_owned() };
    let progress = Progress::new();
    let begin = ConnectParams {
        encryption,
        place: NetworkPlace::at("mx", 25),
        name: "[127.0.0.1]".to_owned(),
        login: Some(&login),
        upgrade: &|connection| Box::pin(async { Ok(connection) }),
        progress: &progress,
        is_here: false,
    };
    let to: Vec<_> = (0..3).map(|at| format!("r{at}@example.com")).collect();
    let parcel = Parcel { from: "a@b", to: &to, mail: MAIL, smtp_utf8: false, eight_bit: false };
    let before = |stop| (stop, false);
    let mut session = Session::begin(connection, &begin).await.map_err(before)?;
    session.offer(&parcel, Deferred::LeaveOut).await.map_err(before)?;
    session.send(&parcel).await.map_err(|stop| (stop, true))
}

/// Runs one session. Panics with its seed.
async fn dialogue(seed: u64) {
    let mut random = Random(seed);
    let oddity = [None, Some(3), Some(8), Some(20)][usize::try_from(seed % 4).unwrap()];
    let (near, far) = duplex(*random.of(&[1, 7, 64, 4096]));
    let log = Log::default();
    let tap = Tap { stream: near, log: Arc::clone(&log) };
    let mut server = SmtpServer {
        stream: far,
        random,
        log: Arc::clone(&log),
        oddity,
        has_taken: false,
        was_odd: false,
    };
    let deadline = Duration::from_secs(60);
    let asking = tokio::time::timeout(deadline, client(Box::new(tap), Encryption::Offered));
    let talking = async {
        // The server may be silent, also after it has accepted the mail.
        let _ = tokio::time::timeout(deadline * 2, server.talk()).await;
        drop(server.stream);
        (server.has_taken, server.was_odd)
    };
    let (ended, (has_taken, was_odd)) = tokio::join!(asking, talking);
    let written = log.lock().unwrap().clone();
    match ended {
        Ok(Ok(reply)) => {
            assert!(has_taken, "seed {seed}: delivered by {reply:?}, which the server never said");
            assert!((200..300).contains(&reply.code), "seed {seed}: {reply:?}");
        }
        Ok(Err((stop, is_sending))) => {
            assert!(was_odd, "seed {seed}: {stop:?}");
            let has_mail = written.windows(13).any(|window| window == b"Subject: fuzz");
            // What may be sent again at once was not sent.
            assert!(is_sending || !has_mail, "seed {seed}: the mail left too early");
            assert!(!matches!(stop.verdict, Verdict::Delivered), "seed {seed}");
        }
        Err(_) => assert!(was_odd, "seed {seed}: the deadline passed"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs `SMTP_DIALOGUES` sessions from the seed `SMTP_SEED`; by default 500 from a seed of the
/// clock.
#[test]
#[expect(clippy::disallowed_methods, reason = "for the seed of a dialogue that failed")]
fn no_dialogue_delivers_what_the_server_did_not_take() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let first = number("SMTP_SEED").unwrap_or(clock.as_secs());
    println!("SMTP_SEED={first}");
    for seed in first..first + number("SMTP_DIALOGUES").unwrap_or(500) {
        runtime().block_on(dialogue(seed));
    }
}

/// Plays fixed replies: each is sent when the client has written the bytes before it.
async fn scripted(script: &[(&str, &str)], encryption: Encryption) -> Result<Reply, Failure> {
    let (near, mut far) = duplex(1 << 16);
    let playing = async {
        for (after, reply) in script {
            let mut read = Vec::new();
            while !read.ends_with(after.as_bytes()) {
                match far.read_u8().await {
                    Ok(byte) => read.push(byte),
                    Err(_) => return,
                }
            }
            if far.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
        drop(far);
    };
    let (ended, ()) = tokio::join!(client(Box::new(near), encryption), playing);
    ended.map_err(|(stop, _)| match stop.verdict {
        Verdict::Retry { failure, .. } | Verdict::Rejected(failure) => failure,
        Verdict::Delivered | Verdict::Later { .. } => unreachable!("it failed"),
    })
}

const PLAIN: &str = "250-mx\r\n250 AUTH PLAIN\r\n";

/// Returns the script of a usual session, with other replies to the mail.
fn usual(last: &'static str) -> Vec<(&'static str, &'static str)> {
    let rcpt = "RCPT TO:<r0@example.com>\r\n";
    vec![
        ("", "220 mx\r\n"),
        ("EHLO [127.0.0.1]\r\n", PLAIN),
        ("AUTH PLAIN AE1FAFNFQw==\r\n", "235 ok\r\n"),
        ("MAIL FROM:<a@b>\r\n", "250 ok\r\n"),
        (rcpt, "250 ok\r\n"),
        ("RCPT TO:<r1@example.com>\r\n", "550 Empf\u{e4}nger unbekannt\r\n"),
        ("RCPT TO:<r2@example.com>\r\n", "250 ok\r\n"),
        ("DATA\r\n", "354 go\r\n"),
        ("\r\n..dot\r\nend\r\n.\r\n", last),
    ]
}

#[tokio::test]
async fn only_2xx_at_the_end_is_delivered() {
    let reply = scripted(&usual("250-2.0.0\r\n250 queued\r\n"), Encryption::None).await.unwrap();
    assert_eq!(reply.lines, ["2.0.0", "queued"]);
    for (last, expected) in [
        ("354 go\r\n", "which is no answer to it"),
        ("451 later\r\n", "answered the message with 451 later"),
        ("550 spam\r\n", "answered the message with 550 spam"),
        ("250-queued\r\n550 no\r\n", "several codes"),
        ("ok\r\n", "without a reply code"),
        ("250 queued", "closed the connection during the message"),
        ("", "closed the connection during the message"),
    ] {
        let failure = scripted(&usual(last), Encryption::None).await.unwrap_err();
        assert!(failure.message.contains(expected), "{last:?}: {failure}");
    }
}

#[tokio::test]
async fn replies_that_were_not_asked_for_end_the_session() {
    for place in 0..8 {
        let mut script = usual("250 queued\r\n");
        let doubled = format!("{}250 queued\r\n", script[place].1);
        script[place].1 = Box::leak(doubled.into_boxed_str());
        let failure = scripted(&script, Encryption::None).await.unwrap_err();
        assert!(failure.message.contains("before it had all of"), "{place}: {failure}");
    }
}

#[tokio::test]
async fn what_comes_before_the_handshake_is_never_read() {
    for (injected, expected) in [
        ("", "closed the connection during EHLO"),
        ("250 mx\r\n", "ahead of the TLS handshake"),
        ("2", "ahead of the TLS handshake"),
        ("250 mx\r\n235 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n", "ahead of the TLS handshake"),
    ] {
        let ready = format!("220 ready\r\n{injected}");
        let script = [
            ("", "220 mx\r\n"),
            ("EHLO [127.0.0.1]\r\n", "250-mx\r\n250 starttls\r\n"),
            ("STARTTLS\r\n", ready.as_str()),
            ("EHLO [127.0.0.1]\r\n", ""),
        ];
        let failure = scripted(&script, Encryption::Required).await.unwrap_err();
        assert!(failure.message.contains(expected), "{injected:?}: {failure}");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_ehlo_gets_helo_and_another_mechanism_where_one_is_unknown() {
    let script = [
        ("", "220 mx\r\n"),
        ("EHLO [127.0.0.1]\r\n", "502 what?\r\n"),
        ("HELO [127.0.0.1]\r\n", "250 mx\r\n"),
    ];
    let failure = scripted(&script, Encryption::Offered).await.unwrap_err();
    assert!(failure.message.contains("neither AUTH PLAIN nor AUTH LOGIN"), "{failure}");
    let mut script = usual("250 queued\r\n");
    script[1].1 = "250-mx\r\n250 AUTH login plain\r\n";
    script[2].1 = "504 unknown\r\n";
    script.splice(
        3..3,
        [
            ("AUTH LOGIN\r\n", "334 Benutzer\r\n"),
            ("TUU=\r\n", "334 UGFzc3dvcmQ6\r\n"),
            ("U0VD\r\n", "235 ok\r\n"),
        ],
    );
    scripted(&script, Encryption::None).await.unwrap();
    // A server that requests the password at once.
    script[3].1 = "334 password:\r\n";
    script.remove(4);
    scripted(&script, Encryption::None).await.unwrap();
}
