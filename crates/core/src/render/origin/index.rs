//! Origins as the annotation of a rendered MachineConfig: an index of path, unit, argument and extension to the
//! MachineConfigs that say so, which are numbers of entries in the list of sources beside it.
//!
//! Source of the limit: all annotations of an object may have 256 KiB together (`TotalAnnotationSizeLimitB`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

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

/// Fields of a thing, each with the numbers of the MachineConfigs that say it, in merge order.
type Entry<'a> = BTreeMap<Cow<'a, str>, Vec<usize>>;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Index<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(borrow)]
    extensions: Entry<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(borrow)]
    kernel_arguments: Vec<(Cow<'a, str>, usize)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(borrow)]
    paths: BTreeMap<Cow<'a, str>, Entry<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(borrow)]
    units: BTreeMap<Cow<'a, str>, Entry<'a>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The index as JSON, at most `room` bytes. `sources` are the MachineConfigs in merge order.
///
/// Extensions, kernel arguments, units and paths are written in this order, each sorted; with the first one that there is
/// no room for, the index ends, and says so.
pub(in crate::render) fn encode(origins: &Origins, sources: &[String], room: usize) -> Result<String, RenderError> {
    let numbers: HashMap<&str, usize> = sources.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let of = |names: &[String]| names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect();
    fn things<'a>(
        things: &'a BTreeMap<String, Origin>,
        of: impl Fn(&[String]) -> Vec<usize>,
    ) -> BTreeMap<Cow<'a, str>, Entry<'a>> {
        things.iter().map(|(name, origin)| (name.into(), entry(origin, &of))).collect()
    }
    let arguments = origins.kernel_arguments.iter();
    let mut index = Index {
        extensions: origins.extensions.iter().map(|(name, names)| (name.into(), of(names))).collect(),
        kernel_arguments: arguments
            .filter_map(|(text, name)| Some((text.into(), *numbers.get(name.as_str())?)))
            .collect(),
        paths: things(&origins.places, of),
        truncated: origins.truncated,
        units: things(&origins.units, of),
    };
    let text = json_text(&index, FIELD)?;
    if text.len() <= room {
        return Ok(text);
    }
    index.shorten(room);
    json_text(&index, FIELD)
}

fn entry(origin: &Origin, of: impl Fn(&[String]) -> Vec<usize>) -> Entry<'_> {
    let mut entry: Entry<'_> = origin.fields.iter().map(|(field, names)| (field.into(), of(names))).collect();
    let part = of(&origin.machine_configs);
    // Most things are said by one MachineConfig in all their fields.
    let is_plain = !entry.is_empty() && part.is_sorted_by(|a, b| a < b);
    let all_say_it = is_plain && entry.values().all(|numbers| *numbers == part);
    if !all_say_it && part != union(&entry) {
        entry.insert(PART.into(), part);
    }
    if !origin.replaced.is_empty() {
        entry.insert(REPLACED.into(), of(&origin.replaced));
    }
    entry
}

fn union(entry: &Entry<'_>) -> Vec<usize> {
    entry.values().flatten().copied().collect::<BTreeSet<usize>>().into_iter().collect()
}

impl Index<'_> {
    /// Leaves out everything from the first thing on that there is no room for.
    fn shorten(&mut self, room: usize) {
        self.truncated = true;
        let mut left = room.saturating_sub(FRAME);
        let mut fits = |bytes: usize| {
            left = left.saturating_sub(bytes);
            left > 0
        };
        self.extensions.retain(|name, numbers| fits(length(&(name, numbers))));
        self.kernel_arguments.retain(|argument| fits(length(argument)));
        self.units.retain(|name, entry| fits(length(&(name, entry))));
        self.paths.retain(|path, entry| fits(length(&(path, entry))));
    }
}

/// Bytes of a thing in the index, at most.
fn length(thing: &impl Serialize) -> usize {
    serde_json::to_string(thing).map_or(MAX_INDEX, |text| text.len() + 1)
}

/// Reads an index. None if the text is none, or not one of these sources.
pub fn decode(text: &str, sources: &[String]) -> Option<Origins> {
    let index: Index<'_> = serde_json::from_str(text).ok()?;
    let names =
        |numbers: Vec<usize>| numbers.into_iter().map(|at| sources.get(at).cloned()).collect::<Option<Vec<String>>>();
    let origin = |mut entry: Entry<'_>| -> Option<Origin> {
        let replaced = names(entry.remove(REPLACED).unwrap_or_default())?;
        let part = entry.remove(PART).unwrap_or_else(|| union(&entry));
        let fields = entry.into_iter().map(|(field, numbers)| Some((field.into_owned(), names(numbers)?)));
        Some(Origin { fields: fields.collect::<Option<_>>()?, machine_configs: names(part)?, replaced })
    };
    let things = |things: BTreeMap<Cow<'_, str>, Entry<'_>>| -> Option<BTreeMap<String, Origin>> {
        things.into_iter().map(|(name, entry)| Some((name.into_owned(), origin(entry)?))).collect()
    };
    let arguments = index.kernel_arguments.into_iter();
    Some(Origins {
        places: things(index.paths)?,
        units: things(index.units)?,
        kernel_arguments: arguments
            .map(|(text, at)| Some((text.into_owned(), sources.get(at)?.clone())))
            .collect::<Option<_>>()?,
        extensions: index
            .extensions
            .into_iter()
            .map(|(name, all)| Some((name.into_owned(), names(all)?)))
            .collect::<Option<_>>()?,
        truncated: index.truncated,
    })
}

#[cfg(test)]
mod tests;
