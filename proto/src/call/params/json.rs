//! [`Json`]: a value of JSON that is read with errors which keep nothing of it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{ParamError, Problem};
use crate::form::one_of;

/// A value of JSON, read with errors that keep nothing of it.
pub(super) struct Json<'de> {
    pub(super) value: &'de RawValue,
    /// A field that is read as null too, if the value is an object.
    pub(super) beside: Option<&'static str>,
    /// A field that is passed over, if the value is an object.
    pub(super) without: Option<&'de str>,
}

impl<'de> From<&'de RawValue> for Json<'de> {
    fn from(value: &'de RawValue) -> Self {
        Self { value, beside: None, without: None }
    }
}

impl<'de> Json<'de> {
    fn is_object(&self) -> bool {
        self.value.get().starts_with('{')
    }

    /// Its members.
    fn members(self) -> Result<Members<'de>, ParamError> {
        let Members { mut given, .. } = serde_json::Deserializer::from_str(self.value.get())
            .deserialize_map(GatherMembers)
            .map_err(unreadable_json)?;
        given.extend(self.beside.map(|field| (field.to_owned(), RawValue::NULL)));
        given.retain(|(name, _)| Some(name.as_str()) != self.without);
        given.reverse();
        Ok(Members { given, at_hand: None })
    }
}

fn unreadable_json(_: serde_json::Error) -> ParamError {
    Problem::Unreadable.into()
}

impl<'de> Deserializer<'de> for Json<'de> {
    type Error = ParamError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        let json = self.value.get();
        match json.as_bytes()[0] {
            b'"' => match serde_json::from_str::<String>(json) {
                Ok(text) => visitor.visit_string(text),
                // It has no UTF-8; whatever is expected, it is not that.
                Err(_) => visitor.visit_unit(),
            },
            b'[' => visitor.visit_seq(Elements(
                serde_json::from_str::<Vec<&RawValue>>(json).map_err(unreadable_json)?.into_iter(),
            )),
            b't' | b'f' => visitor.visit_bool(json == "true"),
            b'n' => visitor.visit_unit(),
            b'{' => visitor.visit_map(self.members()?),
            _ => match (json.parse(), json.parse()) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(0.5),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        if self.value.get() == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        if self.is_object() {
            return visitor.visit_map(self.members()?);
        }
        Err(Problem::Form(format!("an object of {}", known.join(" and "))).into())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        let json = self.value.get();
        match serde_json::from_str::<String>(json) {
            Ok(word) => visitor.visit_enum(IntoDeserializer::<ParamError>::into_deserializer(word)),
            Err(_) if self.is_object() => visitor.visit_enum(MapAccessDeserializer::new(self.members()?)),
            Err(_) => Err(Problem::Form(one_of(variants)).into()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// Gathers the members of an object in their order, also those that come twice.
struct GatherMembers;

impl<'de> Visitor<'de> for GatherMembers {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut given = Vec::new();
        while let Some(member) = map.next_entry::<String, &RawValue>()? {
            given.push(member);
        }
        Ok(Members { given, at_hand: None })
    }
}

/// The members of an object, the last first, and the one at hand.
struct Members<'de> {
    given: Vec<(String, &'de RawValue)>,
    at_hand: Option<(String, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = ParamError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ParamError> {
        let Some((name, value)) = self.given.pop() else { return Ok(None) };
        // One that is not known fails here.
        let key = seed.deserialize(IntoDeserializer::<ParamError>::into_deserializer(name.as_str()))?;
        self.at_hand = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ParamError> {
        let (field, value) = self.at_hand.take().ok_or(Problem::Unreadable)?;
        let is_null = value.get() == "null";
        seed.deserialize(Json::from(value)).map_err(|mut error: ParamError| {
            error.is_null |= is_null && error.field().is_none();
            error.within(field)
        })
    }
}

/// The elements of an array.
struct Elements<'de>(std::vec::IntoIter<&'de RawValue>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = ParamError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ParamError> {
        let Some(value) = self.0.next() else { return Ok(None) };
        seed.deserialize(Json::from(value)).map(Some).map_err(|error: ParamError| error.of_element())
    }
}
