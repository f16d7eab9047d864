//! A Containerfile, read far enough to say what it does, on which line, and to run it after the stage `configs`.
//!
//! Source of the rules: the reference of the Containerfile language (instructions, continuation, heredocs, the escape
//! directive), and the compatible API (the last stage continues `configs`, which holds base image and configuration).

mod check;
mod error;
mod heredoc;
mod lines;
mod mounts;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use error::excerpt;
pub use error::{ContainerfileError, Fault};
pub use heredoc::Heredoc;
pub use mounts::{Mount, NeededSecret};

/// Name of the stage that holds the base image and the configuration.
pub const CONFIGS: &str = "configs";

/// An instruction's keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// `ADD`
    Add,
    /// `ARG`
    Arg,
    /// `COPY`
    Copy,
    /// `FROM`
    From,
    /// `RUN`
    Run,
    /// Any other known instruction, in upper case.
    Other(&'static str),
}

/// Instructions that the language has and that need no special treatment here.
const OTHERS: [&str; 13] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Keyword {
    /// Reads a keyword, in any case.
    fn read(word: &str) -> Option<Self> {
        let upper = word.to_ascii_uppercase();
        Some(match upper.as_str() {
            "ADD" => Self::Add,
            "ARG" => Self::Arg,
            "COPY" => Self::Copy,
            "FROM" => Self::From,
            "RUN" => Self::Run,
            other => Self::Other(OTHERS.into_iter().find(|known| *known == other)?),
        })
    }

    /// The keyword in upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Copy => "COPY",
            Self::From => "FROM",
            Self::Run => "RUN",
            Self::Other(word) => word,
        }
    }
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Line of the text where it begins, counted from 1.
    pub line: usize,
    /// What it does.
    pub keyword: Keyword,
    /// What follows the keyword, continuation lines joined, comments left out.
    pub arguments: String,
    /// Texts that follow the instruction on lines of their own.
    pub heredocs: Vec<Heredoc>,
    /// The lines as they were written, without the heredocs.
    pub source: String,
}

impl Instruction {
    /// The instruction on one line, as error messages show it.
    pub fn text(&self) -> String {
        format!("{} {}", self.keyword.as_str(), self.arguments)
    }
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Name given with `AS`, in lower case.
    pub name: Option<String>,
    /// The image or stage it begins with, build arguments replaced by their values, as far as those are known.
    pub base: String,
    /// Its instructions; the first one is `FROM`.
    pub instructions: Vec<Instruction>,
}

/// A Containerfile that can be built: its last stage continues `configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerfile {
    /// Comments and directives above the first instruction, each line ended.
    pub head: String,
    /// `ARG` instructions before the first stage.
    pub arguments: Vec<Instruction>,
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
}

/// Reads and checks the Containerfile of a MachineOSConfig. A text without any instruction is none at all.
pub fn parse(text: &str) -> Result<Option<Containerfile>, ContainerfileError> {
    parse_with(text, &Outside::default())
}

/// What there is for a Containerfile outside of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside<'a> {
    /// Files beside it.
    pub files: BTreeSet<&'a str>,
    /// Names of other images.
    pub images: BTreeSet<&'a str>,
    /// Values of build arguments; none if they are not known.
    pub arguments: Option<&'a BTreeMap<String, String>>,
}

/// Reads and checks a Containerfile with what there is outside of its text.
pub fn parse_with(text: &str, outside: &Outside<'_>) -> Result<Option<Containerfile>, ContainerfileError> {
    let (head, instructions) = lines::split(text)?;
    if instructions.is_empty() {
        return Ok(None);
    }
    let file = stages(head, instructions, outside)?;
    check::check(&file, outside)?;
    Ok(Some(file))
}

fn stages(
    head: String,
    instructions: Vec<Instruction>,
    outside: &Outside<'_>,
) -> Result<Containerfile, ContainerfileError> {
    let mut file = Containerfile { head, arguments: Vec::new(), stages: Vec::new() };
    for instruction in instructions {
        match (instruction.keyword, file.stages.last_mut()) {
            (Keyword::From, _) => {
                let stage = check::stage(&file, instruction, outside)?;
                file.stages.push(stage);
            }
            (_, Some(stage)) => stage.instructions.push(instruction),
            (Keyword::Arg, None) => file.arguments.push(instruction),
            (_, None) => return Err(Fault::BeforeFrom.at(&instruction)),
        }
    }
    if file.stages.is_empty() {
        return Err(ContainerfileError::NoStage);
    }
    Ok(file)
}

impl Containerfile {
    /// Every absolute path that the text names, up to its first pattern character; sorted.
    ///
    /// What follows a path prefix here can reach the build: `/etc/ssl/*` gives `/etc/ssl/`, and `/` stands for everything.
    pub fn literal_paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for instruction in self.instructions() {
            collect_paths(&instruction.arguments, &mut paths);
            for heredoc in &instruction.heredocs {
                collect_paths(&heredoc.body, &mut paths);
            }
        }
        paths
    }

    /// Whether an `ARG` declares a build argument.
    pub fn declares(&self, name: &str) -> bool {
        let declarations = self.instructions().filter(|instruction| instruction.keyword == Keyword::Arg);
        let mut names = declarations.flat_map(|instruction| instruction.arguments.split_whitespace());
        names.any(|word| word.split_once('=').map_or(word, |(name, _)| name) == name)
    }

    /// Whether the text names something, as a word of its own.
    pub fn mentions(&self, word: &str) -> bool {
        self.instructions().any(|instruction| {
            let bodies = instruction.heredocs.iter().map(|heredoc| heredoc.body.as_str());
            std::iter::once(instruction.arguments.as_str()).chain(bodies).any(|text| has_word(text, word))
        })
    }

    fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.arguments.iter().chain(self.stages.iter().flat_map(|stage| &stage.instructions))
    }
}

/// Characters that stand between a path and what is around it.
const AROUND_PATHS: &[char] =
    &['"', '\'', '`', '=', ':', ';', '&', '|', '<', '>', '(', ')', ',', '[', ']', '{', '}', '@'];
/// Characters that end the literal part of a path.
const PATTERN: &[char] = &['*', '?', '$', '\\'];

fn collect_paths(text: &str, paths: &mut BTreeSet<String>) {
    for word in text.split(|c: char| c.is_whitespace() || AROUND_PATHS.contains(&c)) {
        if word.starts_with('/') {
            let literal = word.split(PATTERN).next().unwrap_or_default();
            paths.insert(literal.to_owned());
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}
