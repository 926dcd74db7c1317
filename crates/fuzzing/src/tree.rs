//! JSON with every member, also those whose names stand twice: a map would hide all but one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// A text.
    Text(String),
    /// A number, a boolean or null: nothing that a target looks into.
    Other,
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The values that a JSON Pointer names, `*` standing for any member or element.
    pub(crate) fn named(&self, pointer: &str) -> Vec<&Self> {
        let mut found = vec![self];
        for segment in pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let fits = |member: &str| segment == "*" || member == name;
            found = found.into_iter().flat_map(|value| value.below(&fits)).collect();
        }
        found
    }

    fn below(&self, fits: &dyn Fn(&str) -> bool) -> Vec<&Self> {
        match self {
            Self::Map(members) => {
                members.iter().filter(|(name, _)| fits(name)).map(|(_, value)| value).collect()
            }
            Self::List(items) => {
                let numbered = items.iter().enumerate();
                numbered.filter(|(at, _)| fits(&at.to_string())).map(|(_, value)| value).collect()
            }
            Self::Text(_) | Self::Other => Vec::new(),
        }
    }

    /// All texts in it, names of members included.
    pub(crate) fn texts<'t>(&'t self, to: &mut Vec<&'t str>) {
        match self {
            Self::Text(text) => to.push(text),
            Self::Other => {}
            Self::List(items) => items.iter().for_each(|item| item.texts(to)),
            Self::Map(members) => {
                for (name, value) in members {
                    to.push(name);
                    value.texts(to);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Map(members))
    }
}
