//! The Containerfile that is really built: the stage `configs` of ours, then what the user wrote.
//!
//! The builder is the one of Debian 12, whose language has no heredocs, so they become files of the context; and a
//! system image keeps nothing in the places of [`EMPTIED`], so every stage that runs commands ends by emptying them.

use super::containerfile::{CONFIGS, Containerfile, Heredoc, Instruction, Keyword, Stage};

/// Name of the archive in the context that holds the configuration layer.
pub const LAYER: &str = ".onlay/configuration.tar";

/// Places that hold nothing an image should keep.
const EMPTIED: &str = "/var/cache /var/log /var/lib/apt/lists /var/tmp /tmp /run";
/// Environment of commands where dpkg is: nobody can answer a question, and what the configuration wrote stays.
const DPKG: &str = "ENV DEBIAN_FRONTEND=noninteractive DPKG_FORCE=confold\n";

/// What the stage `configs` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configs<'a> {
    /// The base image, by digest.
    pub base: &'a str,
    /// Whether the context holds [`LAYER`].
    pub layer: bool,
    /// Whether the base image uses dpkg.
    pub dpkg: bool,
}

/// What the builder works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The text of the Containerfile.
    pub text: String,
    /// Files to write into the context.
    pub files: Vec<ContextFile>,
}

/// A file of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Path below the context.
    pub path: String,
    /// What is in it.
    pub contents: String,
    /// Whether it is run itself.
    pub executable: bool,
}

/// Where a step of the builder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// From the text that the user wrote.
    User(&'a Instruction),
    /// From what is added to it.
    Added,
}

/// Puts the stage `configs` in front of a Containerfile.
pub fn assemble(configs: Configs<'_>, file: Option<&Containerfile>) -> Assembled {
    let mut text = String::new();
    let mut files = Vec::new();
    for argument in file.iter().flat_map(|file| &file.arguments) {
        text.push_str(&argument.source);
    }
    text.push_str(&format!("FROM {} AS {CONFIGS}\n", configs.base));
    if configs.layer {
        text.push_str(&format!("ADD [\"{LAYER}\", \"/\"]\n"));
    }
    let Some(file) = file else { return Assembled { text, files } };
    if configs.dpkg {
        text.push_str(DPKG);
    }
    let head = file.head.as_str();
    for stage in &file.stages {
        for instruction in &stage.instructions {
            text.push_str(&translate(instruction, &mut files));
        }
        text.push_str(&ending(stage));
    }
    Assembled { text: format!("{head}{text}"), files }
}

/// What is added to the end of a stage.
fn ending(stage: &Stage) -> String {
    let has = |wanted: Keyword| stage.instructions.iter().any(|each| each.keyword == wanted);
    if !has(Keyword::Run) {
        return String::new();
    }
    let user = if has(Keyword::Other("USER")) { "USER 0\n" } else { "" };
    let command = format!("find {EMPTIED} -xdev -mindepth 1 ! -type d -delete 2>/dev/null || :");
    format!("{user}RUN [\"/bin/sh\", \"-c\", \"{command}\"]\n")
}

/// An instruction in the words of the builder.
fn translate(instruction: &Instruction, files: &mut Vec<ContextFile>) -> String {
    let arguments = match instruction.heredocs.as_slice() {
        [] => shift_stages(&instruction.arguments),
        heredocs => heredoc(instruction, heredocs, files),
    };
    if arguments == instruction.arguments {
        return instruction.source.clone();
    }
    format!("{} {arguments}\n", instruction.keyword.as_str())
}

/// Numbers of stages, moved by the one that stands in front of them.
fn shift_stages(arguments: &str) -> String {
    let shift = |word: &str| {
        let (before, number) = word.split_once("from=")?;
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        let (number, after) = number.split_at_checked(end)?;
        let number: u32 = number.parse().ok().filter(|_| after.is_empty() || after.starts_with(','))?;
        word.starts_with("--").then(|| format!("{before}from={}{after}", number + 1))
    };
    let words = arguments.split(' ').map(|word| shift(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

fn heredoc(instruction: &Instruction, heredocs: &[Heredoc], files: &mut Vec<ContextFile>) -> String {
    let run = instruction.keyword == Keyword::Run;
    let mut arguments = instruction.arguments.clone();
    let mut mounts = String::new();
    for heredoc in heredocs.iter().rev() {
        let number = files.len() + 1;
        let path = format!(".onlay/heredoc-{number}/{}", heredoc.name);
        let script = run && is_script(instruction, heredoc);
        let executable = script && heredoc.body.starts_with("#!");
        let target = format!("/run/onlay-heredoc-{number}");
        let replacement = match (run, script, executable) {
            (false, ..) => path.clone(),
            (true, true, true) => target.clone(),
            (true, true, false) => format!(". {target}"),
            (true, false, _) => format!("< {target}"),
        };
        if run {
            mounts.push_str(&format!("--mount=type=bind,source={path},target={target} "));
        }
        arguments.replace_range(heredoc.marker.clone(), &replacement);
        files.push(ContextFile { path, contents: heredoc.body.clone(), executable });
    }
    format!("{mounts}{}", shift_stages(&arguments))
}

/// Whether a heredoc is all there is to run, so that it is a script and not the input of a command.
fn is_script(instruction: &Instruction, heredoc: &Heredoc) -> bool {
    let before = instruction.arguments.get(..heredoc.marker.start).unwrap_or_default();
    let after = instruction.arguments.get(heredoc.marker.end..).unwrap_or_default();
    after.trim().is_empty() && before.split_whitespace().all(|word| word.starts_with("--"))
}

/// Where a step comes from, by the numbers that the builder prints (`[stage/…] STEP step/…`, both counted from 1).
pub fn origin(file: Option<&Containerfile>, stage: usize, step: usize) -> Origin<'_> {
    let stage = stage.checked_sub(2).and_then(|index| file?.stages.get(index));
    let instruction = stage.and_then(|stage| stage.instructions.get(step.checked_sub(1)?));
    instruction.map_or(Origin::Added, Origin::User)
}

#[cfg(test)]
mod tests;
