//! Small real servers on 127.0.0.1, each on threads of its own. They report the requests that they
//! get.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use url::Url;

/// A listening server and the requests that it got, in order.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) heard: Receiver<String>,
}

impl Server {
    /// Serves every connection on a thread. The server ends with the test's process.
    pub(super) fn on<H>(listener: TcpListener, handle: H) -> Self
    where
        H: Fn(TcpStream, &Sender<String>) -> io::Result<()> + Clone + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (tell, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, handle) = (tell.clone(), handle.clone());
                // A connection that the test dropped is the test's business.
                thread::spawn(move || drop(handle(stream, &tell)));
            }
        });
        Self { address, heard }
    }

    /// Returns an HTTP/1.1 server that sends this response to every request.
    pub(super) fn http(answer: &str) -> Self {
        Self::http_on(listen(), answer)
    }

    pub(super) fn http_on(listener: TcpListener, answer: &str) -> Self {
        let answer = answer.to_owned();
        Self::on(listener, move |stream, tell| {
            let mut reader = BufReader::new(stream.try_clone()?);
            while let Some(head) = read_head(&mut reader)? {
                // The test may have ended without listening.
                let _ = tell.send(head);
                (&stream).write_all(answer.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Returns an HTTP proxy that reports the head of each request, and connects to `origin` for
    /// every name: names of tests do not resolve.
    pub(super) fn http_proxy(origin: SocketAddr) -> Self {
        Self::on(listen(), move |stream, tell| {
            let mut reader = BufReader::new(stream.try_clone()?);
            let Some(head) = read_head(&mut reader)? else { return Ok(()) };
            let connect = head.starts_with("CONNECT ");
            let _ = tell.send(head.clone());
            let mut upstream = TcpStream::connect(origin)?;
            if connect {
                (&stream).write_all(b"HTTP/1.1 200 connected\r\n\r\n")?;
            } else {
                upstream.write_all(head.as_bytes())?;
            }
            relay(&stream, &upstream)
        })
    }

    /// Returns a SOCKS5 proxy that reports the credentials and the target, and connects to
    /// `origin`.
    pub(super) fn socks5(origin: SocketAddr) -> Self {
        Self::on(listen(), move |mut stream, tell| {
            let [_version, count] = read(&mut stream)?;
            let mut methods = vec![0; usize::from(count)];
            stream.read_exact(&mut methods)?;
            let method = if methods.contains(&2) { 2 } else { 0 };
            stream.write_all(&[5, method])?;
            if method == 2 {
                let [_version] = read(&mut stream)?;
                let (user, password) = (read_text(&mut stream)?, read_text(&mut stream)?);
                let _ = tell.send(format!("{user} {password}"));
                stream.write_all(&[1, 0])?;
            }
            let [_version, _command, _reserved, kind] = read(&mut stream)?;
            let host = match kind {
                1 => Ipv4Addr::from(read::<4>(&mut stream)?).to_string(),
                _ => read_text(&mut stream)?,
            };
            let _ = tell.send(format!("{host}:{}", u16::from_be_bytes(read(&mut stream)?)));
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
            relay(&stream, &TcpStream::connect(origin)?)
        })
    }

    /// Returns the URL of a path here, under a host name or an address.
    pub(super) fn url(&self, scheme: &str, host: &str) -> Url {
        Url::parse(&format!("{scheme}://{host}:{}/", self.address.port())).unwrap()
    }

    /// Returns whether no client sent anything to this server.
    pub(super) fn heard_nothing(&self) -> bool {
        self.heard.try_recv().is_err()
    }
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The same, on a connection that serves one request.
pub(super) const OK_ONCE: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

pub(super) fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// Returns two listeners on one port: 127.0.0.1, and 127.0.0.2, which reports every connection.
pub(super) fn public_and_private() -> (TcpListener, Server) {
    for _ in 0..100 {
        let public = listen();
        let port = public.local_addr().unwrap().port();
        if let Ok(private) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)) {
            let tell_of = |_stream, tell: &Sender<String>| {
                tell.send("a connection".into()).map_err(io::Error::other)
            };
            return (public, Server::on(private, tell_of));
        }
    }
    panic!("no port was free on both addresses")
}

pub(super) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(stream: &mut TcpStream) -> io::Result<String> {
    let [length] = read(stream)?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn relay(client: &TcpStream, upstream: &TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_upstream) = (client.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_upstream);
        to_upstream.shutdown(Shutdown::Write)
    });
    io::copy(&mut &*upstream, &mut &*client)?;
    client.shutdown(Shutdown::Write)
}
