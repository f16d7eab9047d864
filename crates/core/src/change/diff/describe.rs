//! A change in words and values that people and programs can read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::contents::{Delta, compare};
use super::{Change, Pair, Place};
use crate::render::desired::{DesiredUnit, Owner};

/// One change with everything that differs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// What changes: `file /etc/motd`, `unit autofs.service`, `kernel arguments`.
    pub subject: String,
    /// Whether it comes, goes or becomes another one.
    pub presence: Presence,
    /// What differs, in a fixed order.
    pub details: Vec<Detail>,
}

/// Whether something comes, goes or becomes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Presence {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It was there and is there.
    Changed,
}

/// One aspect of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// What it is: `kind`, `mode`, `user`, `group`, `target`, `contents`, `state`, `mask`, `drop-in NAME`, `value`,
    /// `entries`.
    pub aspect: String,
    /// How it differs.
    pub delta: Delta,
}

impl Change<'_> {
    /// What changes: `file /etc/motd`, `unit autofs.service`, `kernel arguments`.
    pub fn subject(&self) -> String {
        match self {
            Self::Image(_) => "image".to_owned(),
            Self::OsImageUrl(_) => "osImageURL".to_owned(),
            Self::ExtensionsImage { .. } => "baseOSExtensionsContainerImage".to_owned(),
            Self::Fips(_) => "FIPS mode".to_owned(),
            Self::KernelType(_) => "kernel type".to_owned(),
            Self::KernelArguments(_) => "kernel arguments".to_owned(),
            Self::Extensions(_) => "extensions".to_owned(),
            Self::Path { path, place } => format!("{} {path}", place.new.or(place.old).map_or("path", Place::kind)),
            Self::Unit { name, .. } => format!("unit {name}"),
            Self::SshKeys(_) => "SSH keys of core".to_owned(),
        }
    }

    /// The change with everything that differs in it. Texts are compared here, which takes time.
    pub fn describe(&self) -> Description {
        let mut details = Details::default();
        let presence = match self {
            Self::Image(pair) | Self::OsImageUrl(pair) | Self::ExtensionsImage { image: pair, .. } => {
                let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
                details.value("value", said(pair.old), said(pair.new));
                presence(pair.old.is_empty(), pair.new.is_empty())
            }
            Self::KernelType(pair) => {
                details.value("value", Some(pair.old.to_owned()), Some(pair.new.to_owned()));
                Presence::Changed
            }
            Self::Fips(pair) => {
                let word = |on| Some(if on { "on" } else { "off" }.to_owned());
                details.value("value", word(pair.old), word(pair.new));
                Presence::Changed
            }
            Self::KernelArguments(pair) | Self::Extensions(pair) | Self::SshKeys(pair) => {
                details.entries(*pair);
                Presence::Changed
            }
            Self::Path { place, .. } => {
                details.place(*place);
                presence(place.old.is_none(), place.new.is_none())
            }
            Self::Unit { unit, .. } => {
                details.unit(*unit);
                presence(unit.old.is_none(), unit.new.is_none())
            }
        };
        Description { subject: self.subject(), presence, details: details.0 }
    }
}

fn presence(was_absent: bool, is_absent: bool) -> Presence {
    match (was_absent, is_absent) {
        (true, false) => Presence::Added,
        (false, true) => Presence::Removed,
        _ => Presence::Changed,
    }
}

#[derive(Default)]
struct Details(Vec<Detail>);

impl Details {
    fn push(&mut self, aspect: impl Into<String>, delta: Delta) {
        self.0.push(Detail { aspect: aspect.into(), delta });
    }

    fn value(&mut self, aspect: &str, old: Option<String>, new: Option<String>) {
        if old != new {
            self.push(aspect, Delta::Value { old, new });
        }
    }

    fn contents(&mut self, aspect: impl Into<String>, old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(delta) = compare(old, new) {
            self.push(aspect, delta);
        }
    }

    fn entries(&mut self, pair: Pair<&[String]>) {
        let owned = |entries: Vec<&str>| -> Vec<String> { entries.into_iter().map(str::to_owned).collect() };
        let (added, removed) = (owned(pair.added()), owned(pair.removed()));
        let reordered = added.is_empty() && removed.is_empty();
        self.push("entries", Delta::Entries { added, removed, reordered });
    }

    fn place(&mut self, place: Pair<Option<Place<'_>>>) {
        let mut value = |aspect, read: fn(Place<'_>) -> Option<String>| {
            self.value(aspect, place.old.and_then(read), place.new.and_then(read));
        };
        value("kind", |place| Some(place.kind().to_owned()));
        value("mode", |place| place.mode().map(|mode| format!("{mode:04o}")));
        value("user", |place| Some(owner(place.owners().0)));
        value("group", |place| Some(owner(place.owners().1)));
        value("target", |place| match place {
            Place::Link(link) => Some(link.target.clone()),
            _ => None,
        });
        self.contents("contents", place.old.and_then(Place::contents), place.new.and_then(Place::contents));
    }

    fn unit(&mut self, unit: Pair<Option<&DesiredUnit>>) {
        let mut value = |aspect, read: fn(&DesiredUnit) -> Option<String>| {
            self.value(aspect, unit.old.and_then(read), unit.new.and_then(read));
        };
        value("state", |unit| unit.enabled.map(|on| if on { "enabled" } else { "disabled" }.to_owned()));
        value("mask", |unit| unit.masked.map(|on| if on { "masked" } else { "unmasked" }.to_owned()));
        self.contents("contents", unit.old.and_then(unit_file), unit.new.and_then(unit_file));
        let (old, new) = (drop_ins(unit.old), drop_ins(unit.new));
        for (name, pair) in super::differing(&old, &new) {
            self.contents(format!("drop-in {name}"), pair.old.map(str::as_bytes), pair.new.map(str::as_bytes));
        }
    }
}

fn unit_file(unit: &DesiredUnit) -> Option<&[u8]> {
    unit.contents.as_deref().map(str::as_bytes)
}

fn drop_ins(unit: Option<&DesiredUnit>) -> BTreeMap<&str, &str> {
    let drop_ins = unit.into_iter().flat_map(|unit| &unit.dropins);
    drop_ins.map(|each| (each.name.as_str(), each.contents.as_str())).collect()
}

fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Id(0) => "root".to_owned(),
        Owner::Id(id) => id.to_string(),
        Owner::Name(name) => name.clone(),
    }
}

impl<'a> Place<'a> {
    /// `file`, `directory` or `link`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Link(_) => "link",
        }
    }

    /// The contents of a file.
    pub fn contents(self) -> Option<&'a [u8]> {
        match self {
            Self::File(file) => Some(&file.contents),
            _ => None,
        }
    }

    fn mode(self) -> Option<u32> {
        match self {
            Self::File(file) => Some(file.mode),
            Self::Directory(directory) => Some(directory.mode),
            Self::Link(_) => None,
        }
    }

    fn owners(self) -> (&'a Owner, &'a Owner) {
        match self {
            Self::File(file) => (&file.user, &file.group),
            Self::Directory(directory) => (&directory.user, &directory.group),
            Self::Link(link) => (&link.user, &link.group),
        }
    }
}
