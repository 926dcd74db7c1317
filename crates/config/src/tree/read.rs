//! Fills a struct from a tree, without a copy of it in between.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use super::{Entry, Kind, Node};

/// A value as serde reads it; a mapping without some of its keys.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'n> {
    node: &'n Node,
    without: &'n [&'n str],
}

impl<'n> Reading<'n> {
    /// The value, a mapping without these keys.
    pub(crate) fn new(node: &'n Node, without: &'n [&'n str]) -> Self {
        Self { node, without }
    }
}

impl IntoDeserializer<'_, Error> for Reading<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de, 'n> Deserializer<'de> for Reading<'n> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(bool) => visitor.visit_bool(*bool),
            Kind::Number(number, _) => number.deserialize_any(visitor),
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(|item| Reading::new(item, &[]))))
            }
            Kind::Map(entries) => {
                let kept = entries.iter().filter(|entry| !self.without.contains(&entry.key.as_str()));
                let pair = |entry: &'n Entry| (entry.key.as_str(), Reading::new(&entry.value, &[]));
                visitor.visit_map(MapDeserializer::new(kept.map(pair)))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            // One with fields.
            _ => self.node.to_json().deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}
