//! JSON with everything a good message needs: the path of each value, and keys given twice.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::config::text::closest;
use crate::config::{ConfigError, STAGES};

/// Any JSON value; objects keep their order and their repeated keys.
#[derive(Debug, Clone)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A JSON object and the path that leads to it.
#[derive(Debug)]
pub(super) struct Object {
    /// Empty at the top, else ends with a dot.
    path: String,
    entries: Vec<(String, Json)>,
}

/// One value of an object, and the path that leads to it.
#[derive(Debug)]
pub(super) struct Value<'a> {
    path: String,
    json: &'a Json,
}

impl Object {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let syntax = |detail: serde_json::Error| ConfigError::Syntax {
            detail: detail.to_string(),
        };
        // A byte order mark is no part of JSON, and some editors write one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match serde_json::from_str(text).map_err(syntax)? {
            Json::Object(entries) => {
                refuse_duplicates("", &entries)?;
                Ok(Self {
                    path: String::new(),
                    entries,
                })
            }
            other => Err(ConfigError::WrongType {
                key: "the document".to_owned(),
                found: other.to_string(),
                expected: "an object in braces",
            }),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The value of `key`; `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<Value<'_>> {
        let (_, json) = self.entries.iter().find(|(name, _)| name == key)?;
        (!matches!(json, Json::Null)).then(|| Value {
            path: format!("{}{key}", self.path),
            json,
        })
    }

    pub(super) fn require(
        &self,
        key: &str,
        expected: &'static str,
    ) -> Result<Value<'_>, ConfigError> {
        self.get(key).ok_or_else(|| ConfigError::MissingKey {
            key: format!("{}{key}", self.path),
            expected,
        })
    }

    /// The keys and their values, in the order of the document.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.entries.iter().map(|(name, json)| {
            let path = format!("{}{name}", self.path);
            (name.as_str(), Value { path, json })
        })
    }

    /// Refuses the first key outside `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self
            .entries
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some((name, _)) => Err(ConfigError::UnknownKey {
                key: format!("{}{name}", self.path),
                closest: closest(name, known.iter().copied()).map(str::to_owned),
            }),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn wrong_type(&self, expected: &'static str) -> ConfigError {
        ConfigError::WrongType {
            key: self.path.clone(),
            found: self.json.to_string(),
            expected,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.json, Json::Number(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.json, Json::List(_))
    }

    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        match self.json {
            Json::Bool(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        match self.json {
            Json::Text(value) => Ok(value),
            _ => Err(self.wrong_type("a string")),
        }
    }

    /// A whole number, written as `8` or `8.0`.
    pub(super) fn usize(&self) -> Result<usize, ConfigError> {
        match self.json {
            // Up to 2^53 a float prints all its digits, and those of a whole number only.
            Json::Number(value) if (0.0..=2f64.powi(53)).contains(value) => {
                value.abs().to_string().parse().ok()
            }
            _ => None,
        }
        .ok_or_else(|| self.wrong_type("a whole number from 0 to 2^53"))
    }

    pub(super) fn f32(&self) -> Result<f32, ConfigError> {
        match self.json {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounded to the nearest f32"
            )]
            Json::Number(value) => Ok(*value as f32),
            _ => Err(self.wrong_type("a number")),
        }
    }

    pub(super) fn object(&self) -> Result<Object, ConfigError> {
        match self.json {
            Json::Object(entries) => Ok(Object {
                path: format!("{}.", self.path),
                entries: entries.clone(),
            }),
            _ => Err(self.wrong_type("an object in braces")),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Value<'a>>, ConfigError> {
        match self.json {
            Json::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, json)| Value {
                    path: format!("{}[{index}]", self.path),
                    json,
                })
                .collect()),
            _ => Err(self.wrong_type("a list in brackets")),
        }
    }

    /// A list of exactly `N` values.
    pub(super) fn array<T, const N: usize>(
        &self,
        read: impl Fn(&Value<'a>) -> Result<T, ConfigError>,
    ) -> Result<[T; N], ConfigError> {
        let items = self.list()?;
        let found = items.len();
        let values = items.iter().map(read).collect::<Result<Vec<T>, _>>()?;
        values.try_into().map_err(|_| ConfigError::WrongLength {
            key: self.path.clone(),
            found,
            expected: N,
        })
    }

    /// One whole number per stage.
    pub(super) fn per_stage(&self) -> Result<[usize; STAGES], ConfigError> {
        self.array(Value::usize)
    }
}

fn refuse_duplicates(path: &str, entries: &[(String, Json)]) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for (name, json) in entries {
        let key = format!("{path}{name}");
        if !seen.insert(name) {
            return Err(ConfigError::DuplicateKey { key });
        }
        if let Json::Object(entries) = json {
            refuse_duplicates(&format!("{key}."), entries)?;
        }
    }
    Ok(())
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "\"{value}\""),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Object(entries) => write!(f, "an object with {} keys", entries.len()),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Number(value))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry::<String, Json>()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}
