//! From text to a document.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::super::finding::Place;
use super::{Broken, Content, Document, Id, Node};

/// Prefix of the tags that YAML itself has.
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// Reads the first document of a text.
pub fn load(text: &str) -> Result<Document, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut loader = Loader {
        lines: Lines::of(text),
        document: Document::default(),
        anchors: HashMap::new(),
        open: Vec::new(),
        cursor: 0,
    };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(text.len());
            Broken { what: error.info(), place: loader.lines.place(at) }
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        loader.event(event, &span);
    }
    Ok(loader.document)
}

/// A collection whose end has not come yet.
struct Open {
    id: Id,
    is_flow: bool,
    is_map: bool,
    /// The key whose value comes next.
    key: Option<Id>,
}

struct Loader<'a> {
    lines: Lines<'a>,
    document: Document,
    anchors: HashMap<usize, Id>,
    open: Vec<Open>,
    /// End of what has been read, in bytes.
    cursor: usize,
}

impl Loader<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) {
        let end = span.end.byte_offset().unwrap_or(self.cursor);
        match event {
            Event::DocumentStart(true, _) => self.cursor = end,
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, (anchor, tag.as_deref()), span),
            Event::SequenceStart(style, anchor, tag) => {
                self.collection(Content::List(Vec::new()), style, (anchor, tag.as_deref()));
            }
            Event::MappingStart(style, anchor, tag) => {
                self.collection(Content::Map(Vec::new()), style, (anchor, tag.as_deref()));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            Event::Alias(anchor) => {
                let (start, _) = self.begin();
                if let Some(target) = self.anchors.get(&anchor).copied() {
                    self.add(start, 0, None, Content::Alias(target));
                }
                self.cursor = end;
            }
            _ => {}
        }
    }

    fn close(&mut self, end: usize) {
        if self.open.pop().is_some_and(|closed| closed.is_flow) {
            self.cursor = self.cursor.max(end);
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, (anchor, tag): (usize, Option<&Tag>), span: &Span) {
        let is_plain = style == ScalarStyle::Plain;
        let is_absent = is_plain && span.start.byte_offset() == span.end.byte_offset();
        let (start, separator_end) = self.begin();
        let after = self.skip_properties(start);
        let place = match separator_end {
            Some(end) if is_absent && after == start => end,
            _ => start,
        };
        let text = if is_absent { "" } else { text };
        self.cursor = if is_absent { after } else { span.end.byte_offset().unwrap_or(after) };
        self.add(place, anchor, tag, Content::Scalar(text.to_owned(), !is_plain));
    }

    fn collection(&mut self, content: Content, style: StructureStyle, (anchor, tag): (usize, Option<&Tag>)) {
        let (start, _) = self.begin();
        let is_flow = style == StructureStyle::Flow;
        let is_map = matches!(content, Content::Map(_));
        let after = self.skip_properties(start);
        let opens = is_flow && self.lines.text[after..].starts_with(['[', '{']);
        self.cursor = after + usize::from(opens);
        let id = self.add(start, anchor, tag, content);
        self.open.push(Open { id, is_flow, is_map, key: None });
    }

    /// Where the next node begins and, in a block, where the indicator before it ends.
    fn begin(&self) -> (usize, Option<usize>) {
        let mut at = self.lines.skip_blank(self.cursor);
        let Some(open) = self.open.last() else { return (at, None) };
        if open.is_flow && self.lines.text[at..].starts_with(',') {
            at = self.lines.skip_blank(at + 1);
        }
        let indicator = match (open.is_map, open.is_flow, open.key) {
            (false, true, _) => return (at, None),
            (false, false, _) => '-',
            (true, _, None) => '?',
            (true, _, Some(_)) => ':',
        };
        let rest = &self.lines.text[at..];
        let found = match indicator {
            '?' => rest.strip_prefix('?').is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)),
            indicator => rest.starts_with(indicator),
        };
        if found { (self.lines.skip_blank(at + 1), (!open.is_flow).then_some(at + 1)) } else { (at, None) }
    }

    /// The end of anchors and tags, and of the blank after them.
    fn skip_properties(&self, start: usize) -> usize {
        let mut at = start;
        while self.lines.text[at..].starts_with(['&', '!']) {
            let rest = &self.lines.text[at..];
            let length = rest.find(|c: char| c.is_whitespace() || ",[]{}".contains(c)).unwrap_or(rest.len());
            at = self.lines.skip_blank(at + length);
        }
        at
    }

    fn add(&mut self, start: usize, anchor: usize, tag: Option<&Tag>, content: Content) -> Id {
        let id = Id(self.document.nodes.len());
        let tag = tag.map(short_tag).unwrap_or_default();
        self.document.nodes.push(Node { place: self.lines.place(start), tag, content });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.open.last_mut() else {
            self.document.root = Some(id);
            return id;
        };
        match self.document.nodes.get_mut(open.id.0).map(|node| &mut node.content) {
            Some(Content::List(entries)) => entries.push(id),
            Some(Content::Map(pairs)) => match open.key.take() {
                None => open.key = Some(id),
                Some(key) => pairs.push((key, id)),
            },
            _ => {}
        }
        id
    }
}

fn short_tag(tag: &Tag) -> String {
    let full = format!("{}{}", tag.handle(), tag.suffix());
    match full.strip_prefix(YAML_TAGS) {
        Some(name) => format!("!!{name}"),
        None => full,
    }
}

/// A text, and how far its lines and columns have been counted.
struct Lines<'a> {
    text: &'a str,
    /// Bytes up to which has been counted, and the place there.
    counted: (usize, Place),
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, counted: (0, Place { line: 1, column: 1 }) }
    }

    /// The place of a byte. Cheap if asked for in order.
    fn place(&mut self, at: usize) -> Place {
        if at < self.counted.0 {
            self.counted = (0, Place { line: 1, column: 1 });
        }
        let (from, mut place) = self.counted;
        let passed = self.text.get(from..at).unwrap_or_default();
        for (index, c) in passed.char_indices() {
            let is_return = c == '\r' && !self.text[from + index + 1..].starts_with('\n');
            if c == '\n' || is_return {
                place = Place { line: place.line + 1, column: 1 };
            } else {
                place.column += 1;
            }
        }
        self.counted = (from + passed.len(), place);
        place
    }

    /// The end of white space and comments.
    fn skip_blank(&self, from: usize) -> usize {
        let mut at = from;
        loop {
            let rest = &self.text[at..];
            let blank = rest.len() - rest.trim_start().len();
            let rest = rest.trim_start();
            at += blank;
            let is_comment =
                rest.starts_with('#') && self.text[..at].chars().next_back().is_none_or(char::is_whitespace);
            if !is_comment {
                return at;
            }
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        }
    }
}
