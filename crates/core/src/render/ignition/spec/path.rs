//! Paths of fields, printed as `$.storage.files.0.mode`, and places that become paths where there is something to say.

use std::borrow::Cow;
use std::fmt;

/// A path from the root of a document to one of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The field of a record.
    Name(Cow<'static, str>),
    /// The entry of a list, from 0.
    Index(usize),
}

impl Path {
    /// The path of a field below this one.
    pub fn at(&self, name: &'static str) -> Self {
        self.step(Step::Name(Cow::Borrowed(name)))
    }

    /// The path of a field below this one, whose name comes from a document.
    pub fn key(&self, name: &str) -> Self {
        self.step(Step::Name(Cow::Owned(name.to_owned())))
    }

    /// The path of a list entry below this one.
    pub fn nth(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The path of several fields, each below the one before.
    pub fn down(&self, names: &[&'static str]) -> Self {
        names.iter().fold(self.clone(), |path, name| path.at(name))
    }

    /// This path, read from another place than the root.
    pub fn below(&self, root: &Self) -> Self {
        Self(root.0.iter().chain(&self.0).cloned().collect())
    }

    /// This path as people write it in a program: `storage.files[0].mode`.
    pub fn in_brackets(&self) -> String {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Name(name) if text.is_empty() => text.push_str(name),
                Step::Name(name) => text.extend([".", name]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether `other` is this path or one below it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The same path with every name written in `snake_case`, as Butane writes Ignition's names.
    pub fn snake_case(&self) -> Self {
        let steps = self.0.iter().map(|step| match step {
            Step::Name(name) => Step::Name(Cow::Owned(snake_case(name))),
            Step::Index(index) => Step::Index(*index),
        });
        Self(steps.collect())
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }
}

/// The place of a value on the way down from the root. It is written out only where there is something to say about it.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The root of a document.
    Root,
    /// A field of a record.
    Field(&'a At<'a>, &'a str),
    /// The entry of a list, from 0.
    Entry(&'a At<'a>, usize),
}

impl At<'_> {
    /// The path of this place.
    pub fn path(&self) -> Path {
        match self {
            Self::Root => Path::default(),
            Self::Field(parent, name) => parent.path().key(name),
            Self::Entry(parent, index) => parent.path().nth(*index),
        }
    }

    /// The path of a field below this place.
    pub fn at(&self, name: &'static str) -> Path {
        self.path().at(name)
    }
}

/// As people write it in a program: `storage.files[0].mode`.
impl fmt::Display for At<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => out.write_str(name),
            Self::Field(parent, name) => write!(out, "{parent}.{name}"),
            Self::Entry(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Name(name) => write!(out, ".{name}"),
            Step::Index(index) => write!(out, ".{index}"),
        })
    }
}

/// A name of Ignition as Butane writes it: `sizeMiB` is `size_mib`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.replace("MiB", "_mib").chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
