//! The wire, pinned: the golden files of `proto/golden` survive the types to the byte, satisfy the
//! schema, and cover the whole protocol. A change that breaks one of these is a new protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

use keyfob_proto::{
    Call, Code, Envelope, Event, EventKind, Fault, Id, Incoming, Request, for_each_call, schema, write_call,
    write_event, write_fault, write_reply,
};
use proptest::prelude::*;
use serde_json::Value;

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

/// The lines of the golden files of a kind, each with its file's name, in the order of the names.
fn golden(kind: &str) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(proto().join("golden").join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let lines = files.iter().flat_map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        text.split_inclusive('\n').map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
    });
    lines.collect()
}

/// The names of the golden files of a kind.
fn names(kind: &str) -> Vec<String> {
    let mut names: Vec<String> = golden(kind).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names
}

/// Reads the JSON of a reply of `method` as its type and writes it again.
fn rewrite_reply(method: &str, json: &str) -> String {
    fn rewrite<C: Call>(json: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<C::Reply>(json).unwrap()).unwrap()
    }
    macro_rules! find {
        (calls { $($calls:tt)+ } subscriptions { $($subscriptions:tt)+ }) => { find! { $($calls)+ $($subscriptions)+ } };
        ($($(#[doc = $doc:literal])+ $snake:ident($($param:ident: $type:ident)?): $call:ident => $reply:ident = $method:literal;)+) => {
            match method {
                $($method => rewrite::<keyfob_proto::$call>(json),)+
                _ => panic!("no method {method}"),
            }
        };
    }
    for_each_call!(find)
}

/// Writes a parsed call again.
fn rewrite_call(id: u64, request: &Request) -> String {
    let mut line = Vec::new();
    macro_rules! find {
        (calls { $($calls:tt)+ } subscriptions { $($subscriptions:tt)+ }) => { find! { $($calls)+ $($subscriptions)+ } };
        ($($(#[doc = $doc:literal])+ $snake:ident($($param:ident: $type:ident)?): $call:ident => $reply:ident = $method:literal;)+) => {
            match request {
                $(Request::$call(call) => write_call(&mut line, id, call),)+
            }
        };
    }
    for_each_call!(find);
    String::from_utf8(line).unwrap()
}

#[test]
fn calls_survive_to_the_byte() {
    assert_eq!(names("call"), sorted(Request::METHODS.iter().copied()));
    for (name, line) in golden("call") {
        let envelope = Envelope::parse(line.as_bytes()).unwrap();
        let request = Request::parse(&envelope.method, envelope.params).unwrap();
        assert_eq!(request.method(), name);
        let id = envelope.id.unwrap().as_json().parse().unwrap();
        assert_eq!(rewrite_call(id, &request), line);
    }
}

#[test]
fn replies_survive_to_the_byte() {
    assert_eq!(names("reply"), sorted(Request::METHODS.iter().copied()));
    for (name, line) in golden("reply") {
        let Some(Incoming::Reply { id, result }) = Incoming::parse(line.as_bytes()) else { panic!("{line}") };
        let mut again = Vec::new();
        write_reply(&mut again, &id, rewrite_reply(&name, result.get()).as_bytes());
        assert_eq!(String::from_utf8(again).unwrap(), line);
    }
}

#[test]
fn faults_survive_to_the_byte() {
    assert_eq!(names("fault"), sorted(Code::ALL.iter().map(Code::as_str)));
    for (name, line) in golden("fault") {
        let Some(Incoming::Fault { id, fault }) = Incoming::parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!((fault.data.code.as_str(), fault.number), (&*name, fault.data.code.number()));
        let mut again = Vec::new();
        write_fault(&mut again, id.as_ref(), &fault);
        assert_eq!(String::from_utf8(again).unwrap(), line);
    }
}

#[test]
fn events_survive_to_the_byte() {
    let sessions = ["sessionStored", "sessionCleared", "activeSessionChanged", "sessionExpiring"];
    let others = ["keyPairCreated", "keyPairDeleted", "vaultLocked", "vaultUnlocked", "vaultRekeyed", "resync"];
    let grants = ["grantCreated", "grantEnded", "grantRefused"];
    assert_eq!(names("event"), sorted(sessions.into_iter().chain(others).chain(grants)));
    for (name, line) in golden("event") {
        let Some(Incoming::Event(event)) = Incoming::parse(line.as_bytes()) else { panic!("{line}") };
        // A new kind of event is unknown here until it has its golden file.
        let kind = match event.kind {
            EventKind::SessionStored { .. } => "sessionStored",
            EventKind::SessionCleared { .. } => "sessionCleared",
            EventKind::KeyPairCreated { .. } => "keyPairCreated",
            EventKind::KeyPairDeleted { .. } => "keyPairDeleted",
            EventKind::ActiveSessionChanged { .. } => "activeSessionChanged",
            EventKind::SessionExpiring { .. } => "sessionExpiring",
            EventKind::VaultLocked => "vaultLocked",
            EventKind::VaultUnlocked => "vaultUnlocked",
            EventKind::VaultRekeyed { .. } => "vaultRekeyed",
            EventKind::GrantCreated { .. } => "grantCreated",
            EventKind::GrantEnded { .. } => "grantEnded",
            EventKind::GrantRefused { .. } => "grantRefused",
            EventKind::Resync => "resync",
            _ => "unknown",
        };
        assert_eq!(kind, name);
        let mut again = Vec::new();
        write_event(&mut again, &event);
        assert_eq!(String::from_utf8(again).unwrap(), line);
    }
}

#[test]
fn the_schema_is_current() {
    let path = proto().join("schema.json");
    let checked_in: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let how = "renew it: cargo run -p keyfob-proto --features schema --example schema > proto/schema.json";
    assert!(checked_in == schema::protocol(), "{how}");
}

/// A parameter that the schema knows is told what form it has to have, whatever it is given.
#[test]
fn every_parameter_of_the_wrong_form_is_told_its_form() {
    let schema = schema::protocol();
    let mut told = 0;
    for (method, pair) in schema["methods"].as_object().unwrap() {
        let name = pair["params"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let Some(params) = schema["$defs"][name]["properties"].as_object() else { continue };
        for param in params.keys() {
            for wrong in ["[[]]", "{\"s3cret\":1}", "\"\\ud800\"", "-1.5", "[7]"] {
                let params = serde_json::value::RawValue::from_string(format!("{{\"{param}\":{wrong}}}")).unwrap();
                let fault = Request::parse(method, Some(&params)).unwrap_err();
                assert_eq!(fault.data.code, Code::InvalidParams);
                let field = fault.data.field.unwrap_or_default();
                assert!(
                    field.starts_with(param) || fault.message.contains("needs"),
                    "{method} {param}: {}",
                    fault.message
                );
                let says =
                    ["must be a", "must be \"", "must be true", "must be the", "must be bytes", "it takes", "needs"];
                assert!(says.iter().any(|word| fault.message.contains(word)), "{}", fault.message);
                assert!(
                    !fault.message.contains("s3cret") && !fault.message.contains("documented"),
                    "{}",
                    fault.message
                );
                told += 1;
            }
        }
    }
    assert!(told > 100, "{told}");
}

#[test]
fn every_golden_line_satisfies_the_schema_and_only_its_own_kind() {
    let schema = schema::protocol();
    let validator = |kind: &str| {
        let mut schema = schema.clone();
        schema.as_object_mut().unwrap().remove("oneOf");
        schema["$ref"] = format!("#/$defs/{kind}").into();
        jsonschema::validator_for(&schema).unwrap()
    };
    let kinds = ["call", "reply", "fault", "event"];
    let validators = ["request", "reply", "fault", "event"].map(validator);
    for kind in kinds {
        for (name, line) in golden(kind) {
            let message: Value = serde_json::from_str(&line).unwrap();
            for (other, validator) in kinds.iter().zip(&validators) {
                let error = validator.validate(&message).err().map(|error| error.to_string());
                assert_eq!(error.is_none(), *other == kind, "{kind} {name} as {other}: {error:?}");
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_the_daemon_refuses() {
    let validator = jsonschema::validator_for(&schema::protocol()).unwrap();
    for params in [r#"{"sessionKey":null}"#, r#"{"sessionKey":""}"#, r#"{"sessionKey":7}"#, r#"{"unknown":1}"#, "[]"] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"clearSession","params":{params}}}"#);
        let envelope = Envelope::parse(line.as_bytes()).unwrap();
        assert!(Request::parse(&envelope.method, envelope.params).is_err(), "{params}");
        assert!(!validator.is_valid(&serde_json::from_str(&line).unwrap()), "{params}");
    }
}

#[test]
fn the_wire_page_names_every_method_fault_and_event() {
    let page = fs::read_to_string(proto().join("WIRE.md")).unwrap();
    let events = names("event");
    let codes = Code::ALL.iter().map(Code::as_str);
    for word in Request::METHODS.iter().copied().chain(codes).chain(events.iter().map(String::as_str)) {
        assert!(page.contains(&format!("`{word}`")), "proto/WIRE.md does not name {word}");
    }
}

proptest! {
    #[test]
    fn any_line_is_a_request_or_a_fault_and_never_a_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(envelope) = Envelope::parse(&line) {
            let _ = Request::parse(&envelope.method, envelope.params);
        }
        let _ = Incoming::parse(&line);
    }

    #[test]
    fn any_damage_to_a_golden_line_is_a_request_or_a_fault(at in 0_usize..2000, byte in any::<u8>()) {
        for (_, line) in golden("call") {
            let mut line = line.into_bytes();
            let at = at % line.len();
            line[at] = byte;
            if let Ok(envelope) = Envelope::parse(&line) {
                let _ = Request::parse(&envelope.method, envelope.params);
            }
        }
    }

    #[test]
    fn any_fault_and_event_is_read_as_it_was_written(key in "\\PC{1,40}", message in ".{0,60}", sequence in any::<u64>()) {
        let key = key.parse().unwrap();
        let fault = Fault::new(Code::NotFound, message).on_session(&key);
        let mut line = Vec::new();
        write_fault(&mut line, Some(&Id::from(7)), &fault);
        let read = match Incoming::parse(&line) {
            Some(Incoming::Fault { id: Some(id), fault }) if id == 7 => Some(fault),
            _ => None,
        };
        prop_assert_eq!(read, Some(fault));
        let event = Event { sequence, kind: EventKind::ActiveSessionChanged { session_key: Some(key), previous_session_key: None }, by: None };
        line.clear();
        write_event(&mut line, &event);
        let read = match Incoming::parse(&line) {
            Some(Incoming::Event(event)) => Some(event),
            _ => None,
        };
        prop_assert_eq!(read, Some(event));
    }
}
