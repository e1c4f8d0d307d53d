//! What must hold for whatever bytes arrive. The fuzzers in `tests/fuzz` search for bytes for which one of
//! these panics; the tests in `tests/properties` try seeds, mutations of seeds, and random bytes.

use keyfob_proto::{Envelope, LineBuffer, MAX_LINE_BYTES, Request, Secret, StoreSession, write_reply};
use keyfobd::clock::Timestamp;
use keyfobd::seal::Supply;
use keyfobd::store::record::{KeyPairRecord, SessionRecord};
use keyfobd::vault::{Change, Draft, Login, Mutation, Scopes, Vault};

/// No fault may repeat this, wherever it stands in the input.
pub const SECRET: &str = "s3cr3t-t0k3n";

/// Stands for 64 KiB in the input of [`lines_are_cut_the_same_however_they_arrive`] when that begins with
/// [`LARGE`], so that a small input can hold a line over the cap.
pub const MANY: u8 = 0xFE;

/// See [`MANY`]. Most inputs stay small: the large ones take a thousand times as long.
pub const LARGE: u8 = 0xFF;

/// [`LineBuffer`] finds the lines that are there, skips those over the cap, and holds a bounded number of
/// bytes, in whatever pieces they come. The first byte of the input sets the size of the pieces.
pub fn lines_are_cut_the_same_however_they_arrive(input: &[u8]) {
    let Some((size, text)) = input.split_first() else { return };
    // Enough for a line over the cap and one below it.
    let mut left = if *size == LARGE { 70 } else { 0 };
    let mut stream = Vec::new();
    for &byte in text {
        if byte == MANY && left > 0 {
            left -= 1;
            stream.resize(stream.len() + 64 * 1024, b'x');
        } else {
            stream.push(byte);
        }
    }
    let mut expected: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let unfinished = expected.pop().unwrap_or_default();

    let mut expected = expected.into_iter();
    let mut buffer = LineBuffer::default();
    let mut told_of_unfinished = false;
    // One byte at a time would take for ever on large ones.
    let size = if *size == LARGE { 48 * 1024 } else { usize::from(*size) + 1 };
    for piece in stream.chunks(size) {
        buffer.space().extend_from_slice(piece);
        assert!(buffer.space().capacity() <= 3 * MAX_LINE_BYTES, "bounded");
        loop {
            match buffer.next_line() {
                Ok(Some(line)) => assert_eq!(Some(line), expected.next()),
                Ok(None) => break,
                // It is told of before its end was seen.
                Err(_) => match expected.next() {
                    Some(line) => assert!(line.len() > MAX_LINE_BYTES),
                    None => told_of_unfinished = true,
                },
            }
        }
    }
    assert_eq!(expected.next(), None, "every line came out");
    assert_eq!(told_of_unfinished, unfinished.len() > MAX_LINE_BYTES);
    assert_eq!(buffer.is_mid_line(), !unfinished.is_empty());
}

/// A line is a request or gets a fault that repeats nothing of it; an id comes back to the letter.
pub fn a_request_is_read_or_refused_without_an_echo(line: &[u8]) {
    let fault = match Envelope::parse(line) {
        Err(refused) => refused.fault,
        Ok(Envelope { id, method, params }) => {
            if let Some(id) = &id {
                let mut reply = Vec::new();
                write_reply(&mut reply, id, b"{}");
                let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n", id.as_json());
                assert_eq!(String::from_utf8(reply).expect("UTF-8"), expected);
            }
            match Request::parse(&method, params) {
                Ok(request) => {
                    assert_eq!(request.method(), method);
                    assert!(!format!("{request:?}").contains(SECRET) || !holds_a_secret(&request));
                    return;
                }
                Err(fault) => fault,
            }
        }
    };
    let fault = serde_json::to_string(&fault).expect("a fault is JSON");
    assert!(!fault.contains(SECRET), "{fault}");
}

/// Names are shown, what was sent as a secret is not.
fn holds_a_secret(request: &Request) -> bool {
    matches!(request, Request::CreateApiKeyPair(_) | Request::Sign(_) | Request::Stamp(_))
}

/// A token makes a session whose record is within its bound and reads back the same, or gets a fault that
/// repeats nothing of it.
pub fn a_token_is_read_and_stored_or_refused_without_an_echo(token: &[u8]) {
    let call = StoreSession { session_key: None, session_token: Secret::new(String::from_utf8_lossy(token)) };
    let login = match Login::read(call) {
        Ok(login) => login,
        Err(fault) => {
            let fault = serde_json::to_string(&fault).expect("a fault is JSON");
            return assert!(!fault.contains(SECRET), "{fault}");
        }
    };
    let vault = Vault::empty(Scopes::without_store());
    let mut draft = Draft::new(vault, Timestamp::default(), Supply::without_store(2));
    // There is no such key pair in this vault, which is not what a token is judged by.
    login.apply(&mut draft).expect("nothing has expired in 1970");
    let stored = draft.changes().iter().find_map(|change| match change {
        Change::PutSession(key, session) => Some((key, session)),
        _ => None,
    });
    let (key, session) = stored.expect("a session was stored");
    assert_eq!(session.open(key).expect("it was just sealed").token.expose().as_bytes(), token);
    let record = SessionRecord::of(session);
    let bytes = record.encode();
    assert!(bytes.len() <= keyfobd::store::MAX_RECORD_BYTES, "{} bytes", bytes.len());
    assert_eq!(SessionRecord::decode(&bytes), Ok((record, *session.public_key())));
}

/// Bytes of the store are a record or an error, and what was read is written and read back the same.
pub fn a_record_is_read_or_refused(bytes: &[u8]) {
    if let Ok((session, public_key)) = SessionRecord::decode(bytes) {
        assert_eq!(SessionRecord::decode(&session.encode()), Ok((session, public_key)));
    }
    if let Ok(pair) = KeyPairRecord::decode(bytes) {
        assert_eq!(KeyPairRecord::decode(&pair.encode()), Ok(pair));
    }
}
