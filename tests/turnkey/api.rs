//! A mock of Turnkey's API, which verifies every stamp.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use keyfob_tests::START;
use keyfob_tests::login::token;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};

/// The API, on a port of its own until the test ends.
pub struct Api {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    logins: Mutex<Logins>,
    changed: Condvar,
}

#[derive(Default)]
struct Logins {
    last: Option<Login>,
    refused: bool,
    /// So many have to be there before one is answered.
    held: usize,
    waiting: usize,
}

/// What a login asked for.
#[derive(Clone)]
pub struct Login {
    /// How long the session is to last.
    pub expiration_seconds: String,
    /// The public key that the request was stamped with.
    pub stamped_by: String,
}

impl Api {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        // Its threads end with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        Self { address, state }
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The last login that was answered.
    #[must_use]
    pub fn last_login(&self) -> Login {
        self.state.logins.lock().unwrap().last.clone().unwrap()
    }

    /// Answers each login with an error from now on.
    pub fn refuse_logins(&self) {
        self.state.logins.lock().unwrap().refused = true;
    }

    /// Answers no login before so many have come.
    pub fn hold_logins(&self, count: usize) {
        self.state.logins.lock().unwrap().held = count;
    }

    /// Waits until a login has come and is not answered.
    pub async fn login_is_held(&self) {
        let state = Arc::clone(&self.state);
        let wait = move || {
            let logins = state.logins.lock().unwrap();
            drop(state.changed.wait_while(logins, |logins| logins.waiting == 0).unwrap());
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }

    /// Answers the logins that have come.
    pub fn let_go(&self) {
        self.hold_logins(0);
        self.state.changed.notify_all();
    }
}

/// Serves the requests of one connection.
fn serve(stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some((path, stamp, body)) = read(&mut reader) {
        let (status, answer) = answer(&path, &stamp, &body, state);
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        // The client may have gone.
        let _ = reader.get_mut().write_all((head + &answer).as_bytes());
    }
}

/// The path, the stamp and the body of the next request.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let (mut lines, mut length, mut stamp) = (Vec::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
            Some((name, value)) if name.eq_ignore_ascii_case("x-stamp") => value.clone_into(&mut stamp),
            _ => {}
        }
        lines.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((lines[0].split(' ').nth(1).unwrap().to_owned(), stamp, body))
}

fn answer(path: &str, stamp: &str, body: &[u8], state: &State) -> (&'static str, Value) {
    let Some(key) = stamped_by(stamp, body) else { return ("401 Unauthorized", json!({ "message": "no good stamp" })) };
    let request: Value = serde_json::from_slice(body).unwrap();
    match path {
        "/public/v1/query/whoami" => {
            let whoami = json!({ "organizationId": "o", "organizationName": "O", "userId": "u", "username": key });
            ("200 OK", whoami)
        }
        "/public/v1/submit/stamp_login" => log_in(&request["parameters"], key, state),
        _ => ("404 Not Found", json!({ "message": "no such path" })),
    }
}

fn log_in(params: &Value, stamped_by: String, state: &State) -> (&'static str, Value) {
    let mut logins = state.logins.lock().unwrap();
    if logins.refused {
        return ("403 Forbidden", json!({ "message": "not you" }));
    }
    logins.waiting += 1;
    state.changed.notify_all();
    let mut logins = state.changed.wait_while(logins, |logins| logins.waiting < logins.held).unwrap();
    let expiration_seconds = params["expirationSeconds"].as_str().unwrap().to_owned();
    let lifetime: u64 = expiration_seconds.parse().unwrap();
    logins.last = Some(Login { expiration_seconds, stamped_by });
    let session = token(params["publicKey"].as_str().unwrap(), START + lifetime);
    let activity = json!({
        "id": "1", "organizationId": "o", "status": "ACTIVITY_STATUS_COMPLETED", "type": "ACTIVITY_TYPE_STAMP_LOGIN",
        "fingerprint": "f", "result": { "stampLoginResult": { "session": session } },
    });
    ("200 OK", json!({ "activity": activity }))
}

/// The key pair that signed the body, if the stamp is a good one.
fn stamped_by(stamp: &str, body: &[u8]) -> Option<String> {
    let stamp: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(stamp.as_bytes()).ok()?).ok()?;
    let key = stamp["publicKey"].as_str()?;
    let verifying_key = VerifyingKey::from_sec1_bytes(&HEXLOWER.decode(key.as_bytes()).ok()?).ok()?;
    let signature = Signature::from_der(&HEXLOWER.decode(stamp["signature"].as_str()?.as_bytes()).ok()?).ok()?;
    verifying_key.verify(body, &signature).ok()?;
    (stamp["scheme"] == "SIGNATURE_SCHEME_TK_API_P256").then(|| key.to_owned())
}

/// Checks that the examples in the README compile; one needs Turnkey's client.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// Checks that the example in the client's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../client/README.md")]
pub struct ClientReadme;
