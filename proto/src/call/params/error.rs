//! [`ParamError`]: what is wrong with parameters, and where; and nothing of what they are.

use std::fmt;

use serde::de;

use crate::form::{in_english, one_of};

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct ParamError {
    /// The fields that lead there, the innermost first. They are known ones, so they are not what somebody typed.
    path: Vec<String>,
    pub(super) problem: Problem,
    /// Whether what does not have its form is null.
    pub(super) is_null: bool,
}

#[derive(Debug)]
pub(super) enum Problem {
    Missing(&'static str),
    Duplicate(&'static str),
    /// It does not have this form.
    Form(String),
    /// Some field is none of these.
    Unknown(&'static [&'static str]),
    Unreadable,
}

impl ParamError {
    /// The field, with those around it: `outer.inner`.
    pub(super) fn field(&self) -> Option<String> {
        let last = match self.problem {
            Problem::Missing(field) | Problem::Duplicate(field) => Some(field),
            Problem::Form(_) | Problem::Unknown(_) | Problem::Unreadable => None,
        };
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).chain(last).collect();
        (!path.is_empty()).then(|| path.join("."))
    }

    pub(super) fn within(mut self, field: String) -> Self {
        self.path.push(field);
        self
    }

    /// That of an array one of whose elements is wrong.
    pub(super) fn of_element(mut self) -> Self {
        if let Problem::Form(form) = &mut self.problem
            && self.path.is_empty()
        {
            *form = format!("an array whose elements are {form}");
        }
        self
    }
}

impl From<Problem> for ParamError {
    fn from(problem: Problem) -> Self {
        Self { path: Vec::new(), problem, is_null: false }
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid params")
    }
}

impl std::error::Error for ParamError {}

impl de::Error for ParamError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Problem::Unreadable.into()
    }

    fn invalid_type(_: de::Unexpected<'_>, form: &dyn de::Expected) -> Self {
        Problem::Form(in_english(form)).into()
    }

    fn invalid_value(_: de::Unexpected<'_>, form: &dyn de::Expected) -> Self {
        Problem::Form(in_english(form)).into()
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Problem::Form(one_of(variants)).into()
    }

    fn unknown_field(_: &str, fields: &'static [&'static str]) -> Self {
        Problem::Unknown(fields).into()
    }

    fn missing_field(field: &'static str) -> Self {
        Problem::Missing(field).into()
    }

    fn duplicate_field(field: &'static str) -> Self {
        Problem::Duplicate(field).into()
    }
}
