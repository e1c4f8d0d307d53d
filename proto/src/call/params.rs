//! Says what is wrong with a call's parameters, in static words: never the input, never serde's
//! text, which quotes it.
//!
//! Good parameters do not come here. Bad ones are read a second time, with an error type that keeps
//! which field failed and how, and nothing else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Call;
use crate::{Code, Fault};

/// The fault for parameters that do not make a `C`.
pub(super) fn why_invalid<C: Call>(params: &str) -> Fault {
    let method = C::METHOD;
    let error = serde_json::from_str(params)
        .map_err(|_| ParamError::Unreadable)
        .and_then(|Fields(given)| C::deserialize(Params(given)));
    let (field, message) = match error {
        Err(ParamError::Missing(field)) => (Some(field), format!("{method} needs `{field}`: {}", expected(field))),
        Err(ParamError::Duplicate(field)) => (Some(field), format!("`{field}` of {method} is given twice")),
        Err(ParamError::Invalid(field)) => (Some(field), format!("`{field}` of {method} must be {}", expected(field))),
        Err(ParamError::Unknown([])) => (None, format!("{method} takes no params")),
        Err(ParamError::Unknown(fields)) => {
            let fields = fields.join(", ");
            (None, format!("{method} was given a param that it does not know; it takes {fields}"))
        }
        Err(ParamError::Unreadable) | Ok(_) => (None, format!("the params of {method} cannot be read")),
    };
    Fault::new(Code::InvalidParams, message).on_params(method, field)
}

/// What a parameter has to be. A name means the same in every call.
fn expected(field: &str) -> &'static str {
    match field {
        "sessionKey" => "a string of 1 to 512 bytes of UTF-8 (leave it out rather than null)",
        "sessionToken" => "a string: the JWT that the login returned",
        "publicKey" => "66 lower-case hex characters, a compressed P-256 public key",
        "externalKeyPair" => "an object of publicKey (66 lower-case hex characters) and privateKey (64 hex characters)",
        "payload" => "the bytes to sign as base64 (standard alphabet, padded)",
        "format" => "\"der\" or \"raw\"",
        "after" => "a string: the `next` of the page before",
        "limit" => "a whole number from 1 to 1000",
        "passphrase" => "a string of at most 1024 bytes",
        "keySource" => "\"keyFile\", \"passphrase\", \"keyring\" or \"credential\"",
        "minAgeSeconds" => "a whole number of seconds",
        _ => "as documented",
    }
}

#[derive(Debug)]
enum ParamError {
    Missing(&'static str),
    Duplicate(&'static str),
    Invalid(&'static str),
    /// Some field is none of these.
    Unknown(&'static [&'static str]),
    Unreadable,
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid params")
    }
}

impl std::error::Error for ParamError {}

impl de::Error for ParamError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Unreadable
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

/// The members of an object in their order, also those that come twice.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &RawValue>()? {
                    fields.push((Cow::Owned(field.0), field.1));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Deserializes a call from its members and remembers which one was at hand.
struct Params<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = ParamError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        visitor.visit_map(Members { known, given: self.0.into_iter(), at_hand: None })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ParamError> {
        Err(ParamError::Unreadable)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Members<'a> {
    known: &'static [&'static str],
    given: std::vec::IntoIter<(Cow<'a, str>, &'a RawValue)>,
    at_hand: Option<(&'static str, &'a RawValue)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = ParamError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ParamError> {
        let Some((name, value)) = self.given.next() else { return Ok(None) };
        let known = self.known.iter().find(|known| **known == name);
        let field = *known.ok_or(ParamError::Unknown(self.known))?;
        self.at_hand = Some((field, value));
        seed.deserialize(IntoDeserializer::<ParamError>::into_deserializer(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ParamError> {
        let (field, value) = self.at_hand.take().ok_or(ParamError::Unreadable)?;
        seed.deserialize(&mut serde_json::Deserializer::from_str(value.get())).map_err(|_| ParamError::Invalid(field))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Code, Request};

    /// The field and the message of the fault for these parameters.
    fn fault(method: &str, params: &str) -> (Option<String>, String) {
        let raw = serde_json::value::RawValue::from_string(params.to_owned()).unwrap();
        let fault = Request::parse(method, Some(&raw)).unwrap_err();
        assert_eq!(fault.data.code, Code::InvalidParams);
        assert_eq!(fault.data.method.as_deref(), Some(method));
        (fault.data.field, fault.message)
    }

    #[test]
    fn the_fault_names_the_field() {
        let cases = [
            ("storeSession", "{}", Some("sessionToken"), "needs"),
            ("storeSession", r#"{"sessionToken":7}"#, Some("sessionToken"), "must be a string"),
            ("storeSession", r#"{"sessionToken":"a","sessionToken":"b"}"#, Some("sessionToken"), "twice"),
            ("clearSession", r#"{"sessionKey":null}"#, Some("sessionKey"), "rather than null"),
            ("clearSession", r#"{"sessionKey":""}"#, Some("sessionKey"), "1 to 512 bytes"),
            ("clearSession", r#"{"sessionKey":"\ud800"}"#, Some("sessionKey"), "UTF-8"),
            ("clearSession", r#"{"session":"a"}"#, None, "it takes sessionKey"),
            ("clearAllSessions", r#"{"force":true}"#, None, "takes no params"),
            ("deleteApiKeyPair", r#"{"publicKey":"03AB"}"#, Some("publicKey"), "66 lower-case hex"),
            ("sign", r#"{"payload":"?"}"#, Some("payload"), "base64"),
            ("sign", r#"{"payload":"","format":"pem"}"#, Some("format"), "\"der\" or \"raw\""),
            ("getAllSessions", r#"{"limit":0}"#, Some("limit"), "1 to 1000"),
            ("getAllSessions", r#"{"limit":1.5}"#, Some("limit"), "1 to 1000"),
            ("getAllSessions", r#"{"limit":1001}"#, Some("limit"), "1 to 1000"),
            ("createApiKeyPair", r#"{"externalKeyPair":{"publicKey":"x"}}"#, Some("externalKeyPair"), "privateKey"),
            ("createApiKeyPair", r#"{"externalKeyPair":["02","ab"]}"#, Some("externalKeyPair"), "an object"),
            ("clearUnusedKeyPairs", r#"{"minAgeSeconds":-1}"#, Some("minAgeSeconds"), "seconds"),
        ];
        for (method, params, field, part) in cases {
            let (named, message) = fault(method, params);
            assert_eq!(named.as_deref(), field, "{method} {params}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn params_that_are_no_object_are_refused() {
        for params in ["[]", "null", "7", "\"x\""] {
            assert!(fault("clearSession", params).1.contains("must be an object"), "{params}");
        }
    }

    #[test]
    fn the_fault_never_repeats_the_input() {
        for params in
            [r#"{"s3cret":1}"#, r#"{"sessionToken":{"s3cret":"s3cret"}}"#, r#"{"sessionToken":"s3cret","x":1}"#]
        {
            let (_, message) = fault("storeSession", params);
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
