//! YAML and JSON as trees whose every node knows its place.
//!
//! Scalars mean what they mean to `kubectl`; see [`super::scalar`]. A key that is there twice is refused, since the API
//! server would take one of both in silence.

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::scalar;

/// How deep values may be nested; Kubernetes objects are far below.
const MAX_DEPTH: usize = 128;
/// How many values a document may have after its aliases are written out.
const MAX_VALUES: usize = 2_000_000;

/// The key whose value is laid under the mapping that holds it.
const MERGE: &str = "<<";

/// A document of a text.
#[derive(Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
}

/// Number of a node in its document; 0 is the outermost one.
pub type Id = usize;

#[derive(Debug)]
struct Node {
    span: Range<usize>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar { value: Value, is_block: bool },
    List(Vec<Id>),
    Map(Vec<Entry>),
    Alias(Id),
}

#[derive(Debug)]
struct Entry {
    key: String,
    key_span: Range<usize>,
    value: Id,
}

/// A step from a value to one inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The field of a name.
    Name(String),
    /// An entry of a list, from 0.
    Index(usize),
    /// The entry of a list that has this path or name.
    Key(String),
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What to point at, within a line.
    pub span: Range<usize>,
    /// Where the text of a block scalar begins: the line after its indicator.
    pub block: Option<usize>,
    /// Whether it is the value that was asked for, not one above it.
    pub is_whole: bool,
}

/// Why a text is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong, and the way out.
    pub what: String,
    /// The bytes that it is about.
    pub span: Range<usize>,
}

/// Reads all documents of a text, without those that say nothing.
pub fn load(text: &str) -> Result<Vec<Document>, Broken> {
    let mut documents = Vec::new();
    let mut loader = Loader { text, document: Document::default(), anchors: HashMap::new(), open: Vec::new() };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
            Broken { what: format!("is no YAML: {}", error.info()), span: at..at }
        })?;
        if matches!(event, Event::DocumentEnd) {
            let document = std::mem::take(&mut loader.document);
            loader.anchors.clear();
            if !document.is_empty() {
                documents.push(document);
            }
            continue;
        }
        loader.event(event, &span)?;
    }
    Ok(documents)
}

/// A collection whose end has not come yet.
struct Open {
    id: Id,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<(String, Range<usize>)>,
    /// Where each key before is.
    known: HashMap<String, usize>,
}

struct Loader<'a> {
    text: &'a str,
    document: Document,
    anchors: HashMap<usize, Id>,
    open: Vec<Open>,
}

impl Loader<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Broken> {
        let range = self.range(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.is_key() {
                    return self.key(text.into_owned(), range);
                }
                let value =
                    value_of(&text, style, tag.as_deref()).map_err(|what| Broken { what, span: range.clone() })?;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                self.add(range, anchor, Content::Scalar { value, is_block })?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(range, anchor, Content::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => self.begin(range, anchor, Content::Map(Vec::new()))?,
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Alias(anchor) => self.alias(anchor, range)?,
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Broken> {
        let refused = |what: &str| Broken { what: what.to_owned(), span: range.clone() };
        if self.open.iter().any(|open| open.anchor == anchor) {
            return Err(refused("an alias within its own anchor never ends; write the value out"));
        }
        if self.is_key() {
            return Err(refused("an alias is no key here; write the key out"));
        }
        let target = self.anchors.get(&anchor).copied().ok_or_else(|| refused("an alias without its anchor"))?;
        self.add(range, 0, Content::Alias(target)).map(drop)
    }

    fn is_key(&self) -> bool {
        self.open.last().is_some_and(|open| {
            open.key.is_none()
                && matches!(self.document.nodes.get(open.id).map(|node| &node.content), Some(Content::Map(_)))
        })
    }

    fn key(&mut self, key: String, span: Range<usize>) -> Result<(), Broken> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if let Some(first) = open.known.insert(key.clone(), span.start).filter(|_| key != MERGE) {
            let line = self.text[..first].matches('\n').count() + 1;
            let what = format!("{key:?} is there twice, first in line {line}; keep one of them");
            return Err(Broken { what, span });
        }
        open.key = Some((key, span));
        Ok(())
    }

    fn begin(&mut self, range: Range<usize>, anchor: usize, content: Content) -> Result<(), Broken> {
        if self.is_key() {
            return Err(Broken { what: "a list or a mapping is no key; write a text".to_owned(), span: range });
        }
        if self.open.len() >= MAX_DEPTH {
            let what = format!("values are nested deeper than {MAX_DEPTH} levels; no object of the API is");
            return Err(Broken { what, span: range });
        }
        let id = self.add(range, anchor, content)?;
        self.open.push(Open { id, anchor, key: None, known: HashMap::new() });
        Ok(())
    }

    fn add(&mut self, span: Range<usize>, anchor: usize, content: Content) -> Result<Id, Broken> {
        let id = self.document.nodes.len();
        self.document.nodes.push(Node { span, content });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.open.last_mut() else { return Ok(id) };
        let key = open.key.take();
        match (self.document.nodes.get_mut(open.id).map(|node| &mut node.content), key) {
            (Some(Content::List(entries)), _) => entries.push(id),
            (Some(Content::Map(entries)), Some((key, key_span))) => entries.push(Entry { key, key_span, value: id }),
            _ => {}
        }
        Ok(id)
    }

    /// The bytes of an event, without what follows its last character.
    fn range(&self, span: &Span) -> Range<usize> {
        let start = span.start.byte_offset().unwrap_or_default().min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        start..end
    }
}

fn value_of(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    const WAY_OUT: &str = "leave the tag out, or write the value as a text";
    let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
    let short = tag.as_deref().map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag));
    match short {
        Some("str" | "!") => return Ok(Value::from(text)),
        Some("binary") => {
            let bytes = STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok();
            let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            return decoded.map(Value::from).ok_or_else(|| "is no text in base64; write the text itself".to_owned());
        }
        Some(tag @ ("int" | "float" | "bool" | "null")) => {
            let value = scalar::plain(text).filter(|value| match tag {
                "bool" => value.is_boolean(),
                "null" => value.is_null(),
                _ => value.is_number(),
            });
            return value.ok_or_else(|| format!("{text:?} is no {tag}; {WAY_OUT}"));
        }
        None => {}
        Some(tag) => return Err(format!("the tag {tag:?} is not read here; {WAY_OUT}")),
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::from(text));
    }
    scalar::plain(text).ok_or_else(|| format!("{text} is no number that JSON has; write another value"))
}

impl Document {
    fn is_empty(&self) -> bool {
        matches!(self.nodes.first().map(|node| &node.content), None | Some(Content::Scalar { value: Value::Null, .. }))
    }

    fn content(&self, id: Id) -> Option<&Content> {
        match &self.nodes.get(id)?.content {
            // An anchor is always complete before its aliases, so this ends.
            Content::Alias(target) => self.content(*target),
            content => Some(content),
        }
    }

    /// The value of a node, with aliases and merge keys written out.
    pub fn value(&self, id: Id) -> Result<Value, Broken> {
        let mut left = MAX_VALUES;
        self.expand(id, &mut left).map_err(|at| Broken {
            what: format!("has more than {MAX_VALUES} values after its aliases are written out; use fewer aliases"),
            span: self.nodes.get(at).map(|node| node.span.clone()).unwrap_or_default(),
        })
    }

    fn expand(&self, id: Id, left: &mut usize) -> Result<Value, Id> {
        *left = left.checked_sub(1).ok_or(id)?;
        Ok(match self.content(id) {
            None => Value::Null,
            Some(Content::Scalar { value, .. }) => value.clone(),
            Some(Content::List(entries)) => {
                Value::Array(entries.iter().map(|entry| self.expand(*entry, left)).collect::<Result<_, _>>()?)
            }
            Some(Content::Map(entries)) => {
                let mut fields = Map::new();
                for entry in entries.iter().filter(|entry| entry.key == MERGE) {
                    let merged = match self.expand(entry.value, left)? {
                        Value::Array(all) => all,
                        one => vec![one],
                    };
                    for (key, value) in merged.into_iter().rev().filter_map(as_fields).flatten() {
                        fields.insert(key, value);
                    }
                }
                for entry in entries.iter().filter(|entry| entry.key != MERGE) {
                    fields.insert(entry.key.clone(), self.expand(entry.value, left)?);
                }
                Value::Object(fields)
            }
            Some(Content::Alias(_)) => Value::Null,
        })
    }

    /// The entries of the list at a path.
    pub fn entries(&self, from: Id, path: &[Step]) -> Vec<Id> {
        let mut node = from;
        for step in path {
            match self.child(node, step) {
                Some((child, _)) => node = child,
                None => return Vec::new(),
            }
        }
        match self.content(node) {
            Some(Content::List(entries)) => entries.clone(),
            _ => Vec::new(),
        }
    }

    /// Where the value at a path is, or the deepest value above it that is there.
    pub fn locate(&self, from: Id, path: &[Step]) -> Found {
        let (mut node, mut key_span, mut is_whole) = (from, None, true);
        for step in path {
            let Some((child, key)) = self.child(node, step) else {
                is_whole = false;
                break;
            };
            (node, key_span) = (child, key);
        }
        let span = self.nodes.get(node).map(|node| node.span.clone()).unwrap_or_default();
        let found = |span| Found { span, block: None, is_whole };
        match (self.nodes.get(node).map(|node| &node.content), key_span) {
            (Some(Content::Scalar { is_block: true, .. }), key) => {
                let at = key.unwrap_or(span.start..span.start);
                Found { block: Some(at.end), ..found(at) }
            }
            (Some(Content::Scalar { value, .. }), Some(key)) if value.is_null() => found(key),
            (Some(Content::Scalar { .. } | Content::Alias(_)), _) => found(span),
            (_, Some(key)) => found(key),
            (_, None) => found(self.first_key(node).unwrap_or(span.start..span.start)),
        }
    }

    /// The first key of a mapping.
    fn first_key(&self, id: Id) -> Option<Range<usize>> {
        match self.content(id)? {
            Content::Map(entries) => entries.first().map(|entry| entry.key_span.clone()),
            _ => None,
        }
    }

    fn child(&self, id: Id, step: &Step) -> Option<(Id, Option<Range<usize>>)> {
        match (step, self.content(id)?) {
            (Step::Index(index), Content::List(entries)) => Some((*entries.get(*index)?, None)),
            (Step::Key(key), Content::List(entries)) => {
                let named =
                    |entry: &Id| ["path", "name", "device"].iter().any(|field| self.is_text(*entry, field, key));
                Some((*entries.iter().find(|entry| named(entry))?, None))
            }
            (Step::Name(name), Content::Map(entries)) => {
                let entry = entries.iter().find(|entry| entry.key == *name)?;
                Some((entry.value, Some(entry.key_span.clone())))
            }
            _ => None,
        }
    }

    fn is_text(&self, id: Id, field: &str, text: &str) -> bool {
        let child = self.child(id, &Step::Name(field.to_owned())).and_then(|(child, _)| self.content(child));
        matches!(child, Some(Content::Scalar { value: Value::String(found), .. }) if found == text)
    }
}

fn as_fields(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
