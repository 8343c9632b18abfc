//! A way to the database that loses responses, or is cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// The traffic that the way lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// It passes everything.
    All,
    /// It loses what the database sends: statements arrive, and their results do not.
    Statements,
    /// It accepts no connection.
    Nothing,
}

struct State {
    passing: Passing,
    sockets: Vec<TcpStream>,
    /// Connections that were opened so far, and those among them whose statements are held up.
    opened: usize,
    held: usize,
}

/// A way to the database.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
    released: Arc<Condvar>,
}

impl Way {
    /// Makes a way to a port of this machine.
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = State { passing: Passing::All, sockets: Vec::new(), opened: 0, held: 0 };
        let (state, released) = (Arc::new(Mutex::new(state)), Arc::default());
        let way = Self { port: own, state, released };
        let accepting = way.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accept(client, port);
            }
        });
        way
    }

    /// Loses every response from here on.
    pub(super) fn lose_responses(&self) {
        self.state.lock().unwrap().passing = Passing::Statements;
    }

    /// Holds up the statements of the connections that are open. New ones pass.
    pub(super) fn hold(&self) {
        let mut state = self.state.lock().unwrap();
        state.held = state.opened;
    }

    /// Passes on what was held up.
    pub(super) fn release(&self) {
        self.state.lock().unwrap().held = 0;
        self.released.notify_all();
    }

    /// Ends every connection.
    pub(super) fn cut(&self, then: Passing) {
        let mut state = self.state.lock().unwrap();
        state.passing = then;
        for socket in state.sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Passes everything again.
    pub(super) fn mend(&self) {
        self.state.lock().unwrap().passing = Passing::All;
    }

    fn accept(&self, client: TcpStream, port: u16) {
        let mut state = self.state.lock().unwrap();
        if state.passing == Passing::Nothing {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let number = state.opened;
        state.opened += 1;
        let twin = |socket: &TcpStream| socket.try_clone().unwrap();
        state.sockets.extend([twin(&client), twin(&server)]);
        drop(state);
        let (forth, back) = (twin(&client), twin(&server));
        let way = self.clone();
        let wait = move || {
            let state = way.state.lock().unwrap();
            drop(way.released.wait_while(state, |state| number < state.held).unwrap());
            true
        };
        std::thread::spawn(move || pass(forth, server, wait));
        let way = self.clone();
        let passes = move || way.state.lock().unwrap().passing != Passing::Statements;
        std::thread::spawn(move || pass(back, client, passes));
    }
}

/// Passes bytes on until one side ends.
fn pass(mut from: TcpStream, mut into: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count) = from.read(&mut buffer)
        && count > 0
    {
        if passes() && into.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = into.shutdown(Shutdown::Both);
}
