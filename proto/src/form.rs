//! What form a value has to have, said by its type, in static words.
//!
//! A type that reads a value says its form with [`text`] or [`wrong`]; serde's own types say theirs in serde's words, which
//! [`in_english`] turns into ours. Whoever explains a bad parameter keeps the form and drops the value.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use zeroize::Zeroizing;

/// The error of a value that does not have this form.
pub(crate) fn wrong<E: de::Error>(form: &'static str) -> E {
    E::invalid_value(Unexpected::Other("something else"), &form)
}

/// Reads a text of this form; `read` answers `None` where it has another.
pub(crate) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    form: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);
    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            self.1(text).ok_or_else(|| wrong(self.0))
        }

        fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
            // It may be a secret.
            self.visit_str(&Zeroizing::new(text))
        }
    }
    deserializer.deserialize_str(Text(form, read))
}

/// A form as it is said to people.
pub(crate) fn in_english(form: &dyn de::Expected) -> String {
    struct Shown<'a>(&'a dyn de::Expected);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }
    match Shown(form).to_string().as_str() {
        "u64" => "a whole number from 0 to 18446744073709551615".to_owned(),
        "a nonzero u64" => "a whole number from 1 to 18446744073709551615".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "a nonzero u32" => "a whole number from 1 to 4294967295".to_owned(),
        "path string" => "a path".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        form => form.to_owned(),
    }
}

/// One of these words.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}
