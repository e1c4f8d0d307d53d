//! What must hold for whatever bytes arrive. The fuzzers in `tests/fuzz` search for bytes for which one of
//! these panics; the tests in `tests/properties` try seeds, mutations of seeds, and random bytes.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use keyfob_proto::{Envelope, GetAllSessions, LineBuffer, MAX_LINE_BYTES, Request, Secret, StoreSession, write_reply};
use keyfobd::clock::Timestamp;
use keyfobd::limits::MAX_RECORD_BYTES;
use keyfobd::seal::{Key, SLOT_BYTES, Scope, Sealed, Slot, StoredSlot, VaultKeys};
use keyfobd::store::record::{KeyPairRecord, SessionRecord, VaultRecord};
use keyfobd::store::{Store, StoreError};
use keyfobd::vault::{Change, Draft, Login, Mutation, NewKeyPair, Vault};
use tempfile::TempDir;

use crate::login::token;

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

/// Names and labels are shown, what was sent as a secret is not.
fn holds_a_secret(request: &Request) -> bool {
    matches!(request, Request::CreateApiKeyPair(_) | Request::Sign(_) | Request::Stamp(_))
}

/// A token makes a session whose record is within its bound and reads back the same, or gets a fault that
/// repeats nothing of it.
pub fn a_token_is_read_and_stored_or_refused_without_an_echo(token: &[u8]) {
    let call =
        StoreSession { without_key_pair: true, ..StoreSession::new(Secret::new(String::from_utf8_lossy(token))) };
    let login = match Login::read(call) {
        Ok(login) => login,
        Err(fault) => {
            let fault = serde_json::to_string(&fault).expect("a fault is JSON");
            return assert!(!fault.contains(SECRET), "{fault}");
        }
    };
    let (keys, mut stock) = (VaultKeys::new(Key::random(), b"a generation"), Slot::fresh_all(0..2).collect());
    let mut draft = Draft::new(Vault::default(), Timestamp::default(), Some(&keys), &mut stock);
    // There is no such key pair in this vault, which is not what a token is judged by.
    login.apply(&mut draft).expect("nothing has expired in 1970");
    let stored = draft.changes().iter().find_map(|change| match change {
        Change::PutSession(key, session) => Some((key, session)),
        _ => None,
    });
    let (key, session) = stored.expect("a session was stored");
    assert_eq!(session.open(key, Some(&keys)).expect("it was just sealed").token.expose().as_bytes(), token);
    let record = SessionRecord::of(session);
    let bytes = record.encode();
    assert!(bytes.len() <= MAX_RECORD_BYTES, "{} bytes", bytes.len());
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
    if let Ok(vault) = VaultRecord::decode(bytes) {
        assert_eq!(VaultRecord::decode(&vault.encode()), Ok(vault));
    }
}

/// Bytes in the place of a slot are that slot or damage, and a record opens with its own slot only.
pub fn a_slot_is_read_or_damaged(bytes: &[u8]) {
    const NUMBER: u32 = 7;
    let mut slot = [0; SLOT_BYTES];
    let length = bytes.len().min(SLOT_BYTES);
    slot[..length].copy_from_slice(&bytes[..length]);
    let StoredSlot::Whole(read) = Slot::read(NUMBER, &slot) else { return };
    assert_eq!(*read.to_bytes(), slot);
    let keys = VaultKeys::new(Key::fill(|bytes| bytes.fill(1)), b"a generation");
    let sealed = Sealed::new(&keys, Scope::InUse, Slot::fresh(NUMBER), b"a record", b"a secret");
    let other = Sealed::stored(NUMBER, sealed.id(), Some(read), sealed.nonce(), sealed.ciphertext());
    assert!(other.open(Some(&keys), Scope::InUse, b"a record", |_| ()).is_err());
}

/// A store whose file `keys` was written over opens or is refused. What it then shows was there before.
///
/// Each byte of the input, but for the first two of three, is written over one of the file: the two say how far on from
/// the last one.
pub fn a_file_of_keys_is_read_or_refused(input: &[u8]) {
    static TEMPLATE: LazyLock<TempDir> = LazyLock::new(template);
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    copy(TEMPLATE.path(), data_dir.path());
    let path = data_dir.path().join("store/keys");
    let mut bytes = fs::read(&path).expect("a file");
    let mut at = 0;
    for edit in input.chunks_exact(3) {
        at = (at + usize::from(u16::from_be_bytes([edit[0], edit[1]]))) % bytes.len();
        bytes[at] = edit[2];
    }
    fs::write(&path, &bytes).expect("a file");
    match Store::open(data_dir.path()) {
        Ok((store, vault)) => {
            assert!(vault.session_count() <= SESSIONS);
            // The header may be another now, or none that a key file opens.
            if let Ok(wrapping) = store.wrapping_key()
                && let Ok(keys) = store.unlock(&wrapping, &vault)
            {
                let call = GetAllSessions::default();
                let _ = vault.get_all_sessions(&call, Timestamp::default(), Some(&keys));
            }
        }
        Err(StoreError::Damaged { .. }) => {
            assert!(fs::read(&path).expect("a file") == bytes, "left as it was");
        }
        Err(error) => panic!("{error}"),
    }
}

/// The sessions of the vault that [`a_file_of_keys_is_read_or_refused`] begins with.
const SESSIONS: usize = 20;

fn template() -> TempDir {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let (mut store, vault) = Store::open(data_dir.path()).expect("a store");
    let keys = store.unlock(&store.wrapping_key().expect("a key file"), &vault).expect("its key");
    store.refill(3 * SESSIONS).expect("room");
    let mut draft = Draft::new(vault, Timestamp::default(), Some(&keys), store.stock());
    for number in 0..SESSIONS {
        let pair = NewKeyPair::generate(Timestamp::default()).expect("randomness");
        pair.apply(&mut draft).expect("a key pair");
        let token = token(&pair.public_key().to_string(), 4_000_000_000);
        let session_key = number.to_string().parse().ok();
        let login =
            Login::read(StoreSession { session_key, ..StoreSession::new(Secret::new(token)) }).expect("a token");
        login.apply(&mut draft).expect("a session");
    }
    let drafted = draft.finish();
    store.put(&drafted.changes, &drafted.vault).expect("room");
    store.close(&drafted.vault);
    data_dir
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("a directory");
            copy(&entry.path(), &target);
        } else if entry.file_name() != "reserve" {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}
