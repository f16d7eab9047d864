//! YAML as a tree whose every node knows its place.
//!
//! Source of the rules: YAML 1.2 with what the real tool's reader keeps of 1.1, measured. Places are those of the real
//! tool: a node begins with its anchor, tag or indicator; a value that is not there is where it would be written.

mod load;
mod scalar;

#[cfg(test)]
mod tests;

pub use load::load;
pub use scalar::{Scalar, scalar};

use super::finding::Place;
use crate::render::ignition::spec::path::{Path, Step};

/// A document.
#[derive(Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
    root: Option<Id>,
}

/// Number of a node in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// Short form of an explicit tag, such as `!!str`; empty if there is none.
    pub tag: String,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug)]
pub enum Content {
    /// A text, and whether quotes or a block say that it is one.
    Scalar(String, bool),
    /// A sequence.
    List(Vec<Id>),
    /// A mapping, in the order of the file.
    Map(Vec<(Id, Id)>),
    /// Another name for a node before.
    Alias(Id),
}

/// Why a text is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Broken {
    /// What is wrong.
    pub what: String,
    /// Where.
    pub place: Place,
}

impl Document {
    /// The outermost node; none in an empty document.
    pub fn root(&self) -> Option<&Node> {
        self.root.and_then(|root| self.node(root))
    }

    /// The node of a number.
    pub fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// The place of the value at a path, or of the deepest value above that is there. Aliases are not followed.
    pub fn place(&self, path: &Path) -> Option<Place> {
        let mut node = self.root()?;
        for step in path.steps() {
            match self.child(node, step) {
                Some(child) => node = child,
                None => break,
            }
        }
        Some(node.place)
    }

    /// The node at a path, if there is one. Aliases are not followed.
    pub fn find(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(self.root()?, |node, step| self.child(node, step))
    }

    fn child(&self, node: &Node, step: &Step) -> Option<&Node> {
        match (step, &node.content) {
            (Step::Index(index), Content::List(entries)) => self.node(*entries.get(*index)?),
            (Step::Name(name), Content::Map(pairs)) => {
                let pair = pairs.iter().rfind(|(key, _)| self.text(*key) == name.as_ref())?;
                self.node(pair.1)
            }
            _ => None,
        }
    }

    /// The text of a scalar; empty for anything else, as the real tool has it.
    pub fn text(&self, id: Id) -> &str {
        match self.node(id).map(|node| &node.content) {
            Some(Content::Scalar(text, _)) => text,
            _ => "",
        }
    }
}
