//! The JSON Schema of protocol 1, generated from the types. The copy in `schema.json` is checked in;
//! a test compares the two.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::{Code, Event, Fault, PROTOCOL_VERSION, for_each_call};

/// Every message of the protocol as one JSON Schema (draft 2020-12).
///
/// A line matches one of `request`, `reply`, `fault` and `event` under `$defs`. Which parameters and
/// which result belong to a method is under `methods`, each a reference into `$defs`; what a fault's `data.code` may be is
/// under `codes`.
#[must_use]
pub fn protocol() -> Value {
    // As it is written: what is always there is required, also where it may be null.
    let mut types = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let methods = methods(&mut types);
    let fault = reference::<Fault>(&mut types);
    let event = reference::<Event>(&mut types);

    let mut definitions = types.take_definitions(true);
    let id = json!({ "type": ["string", "number", "null"] });
    let requests: Vec<Value> = methods
        .iter()
        .map(|(method, pair)| {
            message(
                &["jsonrpc", "method"],
                json!({ "id": id, "method": { "const": method }, "params": pair["params"] }),
            )
        })
        .collect();
    let replies: Vec<&Value> = methods.values().map(|pair| &pair["result"]).collect();
    definitions.insert("request".to_owned(), json!({ "oneOf": requests }));
    definitions.insert(
        "reply".to_owned(),
        message(&["jsonrpc", "id", "result"], json!({ "id": id, "result": { "anyOf": replies } })),
    );
    definitions.insert("fault".to_owned(), message(&["jsonrpc", "id", "error"], json!({ "id": id, "error": fault })));
    definitions.insert(
        "event".to_owned(),
        message(&["jsonrpc", "method", "params"], json!({ "method": { "const": "event" }, "params": event })),
    );
    let codes: Map<String, Value> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), code.meaning().into())).collect();
    let lines = ["request", "reply", "fault", "event"].map(|name| json!({ "$ref": format!("#/$defs/{name}") }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("keyfob protocol {PROTOCOL_VERSION}"),
        "description": "One line of the protocol. `methods` pairs each method's params with its result; `codes` says what each fault means.",
        "oneOf": lines,
        "methods": methods,
        "codes": codes,
        "$defs": definitions,
    })
}

fn methods(types: &mut SchemaGenerator) -> Map<String, Value> {
    let mut methods = Map::new();
    macro_rules! add_methods {
        (calls { $($calls:tt)+ } subscriptions { $($subscriptions:tt)+ }) => {
            add_methods! { $($calls)+ $($subscriptions)+ }
        };
        ($($(#[doc = $doc:literal])+ $snake:ident($($param:ident: $type:ident)?): $call:ident => $reply:ident = $method:literal;)+) => {
            $(methods.insert($method.to_owned(), json!({
                "description": concat!($($doc, "\n"),+).trim(),
                "params": reference::<crate::$call>(types),
                "result": reference::<crate::$reply>(types),
            }));)+
        };
    }
    for_each_call!(add_methods);
    methods
}

fn reference<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    types.subschema_for::<T>().to_value()
}

fn message(required: &[&str], mut properties: Value) -> Value {
    properties["jsonrpc"] = json!({ "const": "2.0" });
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}
