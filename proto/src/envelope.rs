//! The JSON-RPC 2.0 frame: [`Envelope`] around a call, [`Incoming`] for what a client reads.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Call, Code, Event, Fault};

/// The longest id the daemon echoes, in bytes of JSON.
pub const MAX_ID_BYTES: usize = 256;

/// The id of a request, as JSON. Echoed so that clients can match replies; never interpreted.
#[derive(Clone)]
pub struct Id(Box<RawValue>);

impl Id {
    /// The id as JSON text: a string, a number or `null`.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The form check: JSON-RPC allows a string, a number or null.
    fn new(raw: &RawValue) -> Option<Self> {
        let json = raw.get();
        let is_scalar = matches!(json.as_bytes()[0], b'"' | b'-' | b'0'..=b'9' | b'n');
        (is_scalar && json.len() <= MAX_ID_BYTES).then(|| Self(raw.to_owned()))
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(serde_json::value::to_raw_value(&number).expect("a number is JSON"))
    }
}

impl PartialEq<u64> for Id {
    fn eq(&self, number: &u64) -> bool {
        self.as_json().parse() == Ok(*number)
    }
}

impl fmt::Debug for Id {
    /// An id is the client's text, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(redacted)")
    }
}

/// One request, its parameters not yet read.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Absent when the caller wants no answer.
    pub id: Option<Id>,
    /// The method's name, whatever the caller wrote.
    pub method: Cow<'a, str>,
    /// The parameters as JSON text; absent means `{}`.
    pub params: Option<&'a RawValue>,
}

/// A line that holds no request: the fault to answer, and the id if there was one.
#[derive(Debug)]
pub struct Refused {
    /// Null on the wire when absent.
    pub id: Option<Id>,
    /// What was wrong.
    pub fault: Fault,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { id: None, fault }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

/// Keeps an explicit `null`, which serde would take for absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl<'a> Envelope<'a> {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// `PARSE_ERROR` when the line is not UTF-8 or not JSON, `INVALID_REQUEST` when it is JSON but
    /// not a request.
    pub fn parse(line: &'a [u8]) -> Result<Self, Refused> {
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(Fault::new(Code::ParseError, "the line is not UTF-8").into());
        };
        // An array would be read as a frame by position.
        let frame = if text.trim_ascii_start().starts_with('{') { serde_json::from_str(text).ok() } else { None };
        let Some(Frame { jsonrpc, id: raw_id, method, params }) = frame else {
            return Err(why_not_a_request(text));
        };
        let id = raw_id.and_then(Id::new);
        if raw_id.is_some() && id.is_none() {
            let message = format!("`id` must be a string, a number or null, of at most {MAX_ID_BYTES} bytes");
            return Err(Fault::new(Code::InvalidRequest, message).into());
        }
        if jsonrpc != "2.0" {
            let fault = Fault::new(Code::InvalidRequest, "`jsonrpc` must be \"2.0\"");
            return Err(Refused { id, fault });
        }
        Ok(Self { id, method, params })
    }
}

#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// Finds out what is wrong with a line, and its id if it has one. Only the slow path comes here.
fn why_not_a_request(text: &str) -> Refused {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Fault::new(Code::ParseError, "the line is not one JSON text").into();
    }
    if text.trim_ascii_start().starts_with('[') {
        let message = "batches are not served: send one request per line and do not wait in between (pipelining)";
        return Fault::new(Code::InvalidRequest, message).into();
    }
    let id = serde_json::from_str::<OnlyId<'_>>(text).ok().and_then(|only| Id::new(only.id));
    let message = "a request is an object with `jsonrpc`, `method`, and optionally `id` and `params`, and nothing else";
    Refused { id, fault: Fault::new(Code::InvalidRequest, message) }
}

/// Appends a call as one line.
pub fn write_call<C: Call>(out: &mut Vec<u8>, id: u64, call: &C) {
    #[derive(Serialize)]
    struct Out<'a, C> {
        jsonrpc: &'static str,
        id: u64,
        method: &'static str,
        params: &'a C,
    }
    write_line(out, &Out { jsonrpc: "2.0", id, method: C::METHOD, params: call });
}

/// Appends a reply as one line. `result` is the reply's JSON.
pub fn write_reply(out: &mut Vec<u8>, id: &Id, result: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.extend_from_slice(b"}\n");
}

/// Appends a fault as one line. Without an id it says `null`, as JSON-RPC wants it when the request
/// could not be read.
pub fn write_fault(out: &mut Vec<u8>, id: Option<&Id>, fault: &Fault) {
    #[derive(Serialize)]
    struct Out<'a> {
        jsonrpc: &'static str,
        id: Option<&'a RawValue>,
        error: &'a Fault,
    }
    write_line(out, &Out { jsonrpc: "2.0", id: id.map(|id| &*id.0), error: fault });
}

/// Appends an event as one line.
pub fn write_event(out: &mut Vec<u8>, event: &Event) {
    #[derive(Serialize)]
    struct Out<'a> {
        jsonrpc: &'static str,
        method: &'static str,
        params: &'a Event,
    }
    write_line(out, &Out { jsonrpc: "2.0", method: "event", params: event });
}

/// A call as one line. It is written into memory of the right size: a buffer that grows leaves copies of secrets behind.
///
/// # Panics
///
/// Never: the protocol's types are JSON.
#[must_use]
pub fn call_line<C: Call>(id: u64, call: &C) -> Vec<u8> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut params, written) = (Count(0), "a Count takes all");
    serde_json::to_writer(&mut params, call).expect(written);
    // The frame: its names, the method, an id of up to 20 digits.
    let mut line = Vec::with_capacity(params.0 + C::METHOD.len() + 80);
    write_call(&mut line, id, call);
    line
}

fn write_line(out: &mut Vec<u8>, message: &impl Serialize) {
    serde_json::to_writer(&mut *out, message).expect("the protocol's types are JSON, and a Vec takes all");
    out.push(b'\n');
}

/// What a client reads: a reply, a fault, or an event.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The answer to the call of that id; its JSON is a [`Call::Reply`].
    Reply {
        /// The call's id.
        id: Id,
        /// The reply, not yet read.
        result: &'a RawValue,
    },
    /// The call of that id failed, or, without an id, the connection did.
    Fault {
        /// The call's id.
        id: Option<Id>,
        /// Why.
        fault: Fault,
    },
    /// A notification that somebody subscribed to.
    Event(Event),
}

impl<'a> Incoming<'a> {
    /// Reads one line from the daemon. `None` when it is none of the three.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct In<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            error: Option<Fault>,
            #[serde(borrow)]
            params: Option<&'a RawValue>,
        }
        let line = std::str::from_utf8(line).ok()?;
        let In { id, result, error, params } = serde_json::from_str(line).ok()?;
        let id = id.and_then(Id::new);
        match (result, error, params) {
            (Some(result), None, None) => Some(Self::Reply { id: id?, result }),
            (None, Some(fault), None) => Some(Self::Fault { id, fault }),
            (None, None, Some(event)) => Some(Self::Event(serde_json::from_str(event.get()).ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
