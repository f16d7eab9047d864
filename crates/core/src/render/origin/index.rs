//! Origins with numbers for names: an index of path, unit, argument and extension to the MachineConfigs that say so, which
//! are positions in the list of sources. Written as JSON, it is an annotation of a rendered MachineConfig, as the list is.
//!
//! Source of the limit: all annotations of an object may have 256 KiB together (`TotalAnnotationSizeLimitB`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};

use super::{Origin, Origins};
use crate::render::{RenderError, json_text};

/// Largest index, in bytes. What remains of the room for annotations is for the list of sources and for other tools; a longer
/// list leaves less for the index.
pub const MAX_INDEX: usize = 200 << 10;
/// Most bytes that the index and the list of sources may have together: the limit, less some for other tools.
pub const MAX_TOGETHER: usize = (256 << 10) - (16 << 10);

/// Where the index is in a MachineConfig.
const FIELD: &str = "metadata.annotations[onlay.dev/origins]";
/// Room for the braces and names of the index around its things.
const FRAME: usize = 128;
/// Who has a part in a thing, where its fields do not tell.
const PART: &str = "part";
/// Whose thing of another kind was at the path before.
const REPLACED: &str = "replaced";

/// Positions in the list of sources, in merge order.
pub type Numbers = Vec<usize>;

/// [`Origins`], with numbers for the names of MachineConfigs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Index {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Numbers>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<(String, usize)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, Part>,
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Part>,
}

/// [`Origin`], with numbers for the names of MachineConfigs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, Numbers>")]
pub struct Part {
    /// Who says a field, by its name, sorted.
    fields: Vec<(Cow<'static, str>, Numbers)>,
    all: Numbers,
    replaced: Numbers,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Part {
    /// That of one MachineConfig, which says some of these fields.
    pub fn of<F: Into<Cow<'static, str>>>(number: usize, fields: impl IntoIterator<Item = (F, bool)>) -> Self {
        let said = fields.into_iter().filter(|(_, is_said)| *is_said);
        let mut fields: Vec<_> = said.map(|(field, _)| (field.into(), vec![number])).collect();
        fields.sort_unstable();
        Self { fields, all: vec![number], replaced: Vec::new() }
    }

    /// Adds what a later MachineConfig says.
    pub fn add(&mut self, later: Self) {
        for (field, numbers) in later.fields {
            match self.fields.binary_search_by(|(known, _)| known.cmp(&field)) {
                Ok(at) => self.fields[at].1.extend(numbers),
                Err(at) => self.fields.insert(at, (field, numbers)),
            }
        }
        self.all.extend(later.all);
    }

    /// What is left when a thing of another kind, of a later MachineConfig, takes the place of this one.
    pub fn replace(&mut self, later: Self) {
        let before = std::mem::replace(self, later);
        self.replaced = before.replaced.into_iter().chain(before.all).collect();
    }

    /// All who have a part in it.
    pub fn all(&self) -> &[usize] {
        &self.all
    }

    /// The MachineConfig whose word on a field counts.
    pub fn last(&self, field: &str) -> Option<usize> {
        self.fields.iter().find(|(known, _)| known == field)?.1.last().copied()
    }

    fn named(&self, sources: &[String]) -> Option<Origin> {
        let fields = self.fields.iter().map(|(field, numbers)| Some((field.to_string(), named(numbers, sources)?)));
        Some(Origin {
            fields: fields.collect::<Option<_>>()?,
            machine_configs: named(&self.all, sources)?,
            replaced: named(&self.replaced, sources)?,
        })
    }

    fn all_are_told_by_fields(&self) -> bool {
        // Most things are said by one MachineConfig in all their fields.
        let all_say_all = !self.fields.is_empty() && self.fields.iter().all(|(_, numbers)| *numbers == self.all);
        all_say_all || self.all == union(self.fields.iter().map(|(_, numbers)| numbers))
    }
}

/// Everybody in the lists, each once.
fn union<'a>(lists: impl Iterator<Item = &'a Numbers>) -> Numbers {
    lists.flatten().copied().collect::<BTreeSet<usize>>().into_iter().collect()
}

fn named(numbers: &[usize], sources: &[String]) -> Option<Vec<String>> {
    numbers.iter().map(|at| sources.get(*at).cloned()).collect()
}

/// The fields and, under names that no field has, what they do not tell.
impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let part = (!self.all_are_told_by_fields()).then_some((PART, &self.all));
        let replaced = (!self.replaced.is_empty()).then_some((REPLACED, &self.replaced));
        let fields = self.fields.iter().map(|(field, numbers)| (field.as_ref(), numbers));
        let mut entries: Vec<(&str, &Numbers)> = fields.chain(part).chain(replaced).collect();
        entries.sort_unstable();
        serializer.collect_map(entries)
    }
}

impl From<BTreeMap<String, Numbers>> for Part {
    fn from(mut entries: BTreeMap<String, Numbers>) -> Self {
        let replaced = entries.remove(REPLACED).unwrap_or_default();
        let all = entries.remove(PART).unwrap_or_else(|| union(entries.values()));
        let fields = entries.into_iter().map(|(field, numbers)| (field.into(), numbers)).collect();
        Self { fields, all, replaced }
    }
}

impl Index {
    /// The same with names; none if one of the numbers is not in the list.
    pub fn named(&self, sources: &[String]) -> Option<Origins> {
        let parts = |parts: &BTreeMap<String, Part>| -> Option<BTreeMap<String, Origin>> {
            parts.iter().map(|(name, part)| Some((name.clone(), part.named(sources)?))).collect()
        };
        let arguments = self.kernel_arguments.iter();
        let extensions = self.extensions.iter();
        Some(Origins {
            places: parts(&self.paths)?,
            units: parts(&self.units)?,
            kernel_arguments: arguments
                .map(|(text, at)| Some((text.clone(), sources.get(*at)?.clone())))
                .collect::<Option<_>>()?,
            extensions: extensions
                .map(|(name, all)| Some((name.clone(), named(all, sources)?)))
                .collect::<Option<_>>()?,
            truncated: self.truncated,
        })
    }

    /// Everybody who has a part in things, which are named by their path or, for units, by their name.
    pub fn parts_in(&self, names: [&str; 2]) -> Numbers {
        let parts = names.iter().filter_map(|name| self.paths.get(*name).or_else(|| self.units.get(*name)));
        union(parts.map(|part| &part.all))
    }

    /// As JSON, at most `room` bytes.
    ///
    /// Extensions, kernel arguments, units and paths are written in this order, each sorted; with the first one that there
    /// is no room for, the index ends, and says so.
    pub fn encode(&self, room: usize) -> Result<String, RenderError> {
        let text = json_text(self, FIELD)?;
        if text.len() <= room { Ok(text) } else { json_text(&self.clone().shortened(room), FIELD) }
    }

    /// Leaves out everything from the first thing on that there is no room for.
    fn shortened(mut self, room: usize) -> Self {
        self.truncated = true;
        let mut left = room.saturating_sub(FRAME);
        let mut fits = |bytes: usize| {
            left = left.saturating_sub(bytes);
            left > 0
        };
        self.extensions.retain(|name, numbers| fits(length(&(name, numbers))));
        self.kernel_arguments.retain(|argument| fits(length(argument)));
        self.units.retain(|name, part| fits(length(&(name, part))));
        self.paths.retain(|path, part| fits(length(&(path, part))));
        self
    }
}

/// Bytes of a thing in the index, at most.
fn length(thing: &impl Serialize) -> usize {
    serde_json::to_string(thing).map_or(MAX_INDEX, |text| text.len() + 1)
}

/// Reads an index. None if the text is none, or not one of these sources.
pub fn decode(text: &str, sources: &[String]) -> Option<Origins> {
    serde_json::from_str::<Index>(text).ok()?.named(sources)
}

#[cfg(test)]
mod tests;
