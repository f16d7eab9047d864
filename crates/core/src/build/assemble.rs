//! The Containerfile that is really built: the stage `configs` of ours, then what the user wrote.
//!
//! The builder is the one of Debian 12, whose language has no heredocs, so they become files of the context. It takes the
//! layer of an instruction from an earlier build when the text of the instruction, and the layers below, are the same:
//! so whatever else an instruction depends on must be in its text. (What `ADD` and `COPY` bring it compares by content.)

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::containerfile::{CONFIGS, Containerfile, Heredoc, Instruction, Keyword};
use super::inputs::{digest_of, hex, repository};
use super::packages::{Manager, Packages};
use super::spec::{Failure, Spec};
use super::trust;

/// Name of the archive in the context that holds the configuration layer.
pub const LAYER: &str = ".onlay/configuration.tar";

/// Name of images of the stage `configs`; what they are made of follows.
const CONFIGS_IMAGE: &str = "localhost/onlay-configs";
/// Label of an image whose instructions ran anew because a person asked for it: when that was.
const REBUILT_LABEL: &str = "dev.onlay.rebuilt";
/// Label of an image whose commands saw mounted directories: a digest of what was in them.
const MOUNTED_LABEL: &str = "dev.onlay.mounted";
/// Where the script is seen that installs what the configuration wants of the package manager.
pub(super) const INSTALL: &str = "/run/onlay-packages";
/// Bytes of the digest in a path or a name, two digits each.
const DIGEST_BYTES: usize = 16;
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
    /// When a person last asked to build once more: layers from before are not taken again.
    pub rebuilt: Option<&'a str>,
    /// What the image says of itself, by [`labels`].
    pub labels: &'a BTreeMap<&'static str, String>,
    /// A digest of what commands see in mounted directories.
    pub mounted: Option<&'a str>,
    /// Whether commands are told where more authorities are.
    pub trusted: bool,
    /// What installs the packages that the configuration wants.
    pub install: Option<&'a Install>,
}

/// What installs the packages that a configuration wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// The instruction.
    instruction: String,
    /// The script that it runs.
    script: ContextFile,
}

impl Install {
    /// What installs these packages with this package manager.
    pub fn of(packages: &Packages, manager: Manager) -> Result<Self, Failure> {
        let contents = packages.script(manager)?;
        let path = place(&contents, "program", "packages");
        let script = format!("--mount=type=bind,source={path},target={INSTALL}");
        let mounts: String = packages.mount(manager).into_iter().map(|mount| mount + " ").collect();
        let instruction = format!("RUN {mounts}{script} {INSTALL}\n");
        Ok(Self { instruction, script: ContextFile { path, contents, executable: true } })
    }
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

/// The Containerfile of the stage `configs` alone.
pub fn configs(configs: Configs<'_>) -> String {
    let mut text = format!("FROM {} AS {CONFIGS}\n", configs.base);
    if configs.layer {
        text.push_str(&format!("ADD [\"{LAYER}\", \"/\"]\n"));
    }
    if configs.dpkg {
        text.push_str(DPKG);
    }
    text
}

/// The name of the image of the stage `configs`: the same one means the same text and the same archive.
pub fn configs_image(text: &str, layer: &[u8]) -> String {
    let digest = Sha256::new().chain_update(text).chain_update([0]).chain_update(layer).finalize();
    format!("{CONFIGS_IMAGE}:{}", hex(digest.get(..DIGEST_BYTES).unwrap_or(&digest)))
}

/// The Containerfile of an image: the stage `configs`, from an image of it if that is there, with the packages that the
/// configuration wants, then what the user wrote, and last what the image says of itself.
pub fn assemble(configs: Configs<'_>, image: Option<&str>, file: Option<&Containerfile>) -> Assembled {
    let mut files = Vec::new();
    let mut first = image.map_or_else(|| self::configs(configs), |image| format!("FROM {image} AS {CONFIGS}\n"));
    if let Some(Install { instruction, script }) = configs.install {
        first = first + &marks(configs) + instruction;
        files.push(script.clone());
    }
    let Some(file) = file else { return Assembled { text: first + &label(configs.labels), files } };
    let mut text = file.head.clone();
    for argument in &file.arguments {
        text.push_str(&argument.source);
    }
    text.push_str(&first);
    for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
        text.push_str(&translate(instruction, &mut files));
        if instruction.keyword == Keyword::From {
            text.push_str(&marks(configs));
        }
    }
    text.push_str(&label(configs.labels));
    Assembled { text, files }
}

/// What the image of a build says of itself; `version` is that of onlay.
pub fn labels(spec: &Spec, version: &str) -> BTreeMap<&'static str, String> {
    let config = spec.build.rsplit_once('-').map_or(spec.build.as_str(), |(config, _)| config);
    BTreeMap::from([
        ("dev.onlay.machineosbuild", spec.build.clone()),
        ("dev.onlay.machineosconfig", config.to_owned()),
        ("dev.onlay.rendered", spec.rendered.clone()),
        ("dev.onlay.version", version.to_owned()),
        ("org.opencontainers.image.base.digest", digest_of(&spec.base).to_owned()),
        ("org.opencontainers.image.base.name", repository(&spec.base).to_owned()),
    ])
}

/// The last instruction: what stands in front of it is not built anew when a label changes.
fn label(labels: &BTreeMap<&'static str, String>) -> String {
    let words: String = labels.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
    if words.is_empty() { words } else { format!("LABEL{words}\n") }
}

/// What stands behind every `FROM` of the user: a label, so that nothing below is taken from a build before a person asked for
/// another one, or from one whose commands saw something else in mounted directories; and where commands find authorities.
fn marks(configs: Configs<'_>) -> String {
    let labels = [(REBUILT_LABEL, configs.rebuilt), (MOUNTED_LABEL, configs.mounted)];
    let labels: String = labels.iter().filter_map(|(label, value)| Some(format!(" {label}={:?}", (*value)?))).collect();
    let label = if labels.is_empty() { labels } else { format!("LABEL{labels}\n") };
    if configs.trusted { label + &trust::instruction() } else { label }
}

/// Whether the layer of every instruction can be known by its text and the layers below.
///
/// A command that is shown another stage, image or file by `--mount` cannot: the builder does not look at what is there.
pub fn is_cacheable(file: &Containerfile) -> bool {
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    !instructions.flat_map(Instruction::mounts).any(|mount| {
        let type_ = mount.get("type");
        type_.is_none_or(|type_| *type_ == "bind") || mount.contains_key("from")
    })
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
    for (index, heredoc) in heredocs.iter().enumerate().rev() {
        let script = run && is_script(instruction, heredoc);
        let executable = script && heredoc.body.starts_with("#!");
        let path = place(&heredoc.body, if executable { "program" } else { "text" }, &heredoc.name);
        let target = format!("/run/onlay-heredoc-{}", index + 1);
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

/// Where in the context a text lies: its path says what is in it, since it becomes text of the instruction.
fn place(contents: &str, kind: &str, name: &str) -> String {
    let digest = Sha256::digest(contents);
    let digest = hex(digest.get(..DIGEST_BYTES).unwrap_or(&digest));
    format!(".onlay/{kind}-{digest}/{name}")
}

/// Whether a heredoc is all there is to run, so that it is a script and not the input of a command.
fn is_script(instruction: &Instruction, heredoc: &Heredoc) -> bool {
    let before = instruction.arguments.get(..heredoc.marker.start).unwrap_or_default();
    let after = instruction.arguments.get(heredoc.marker.end..).unwrap_or_default();
    after.trim().is_empty() && before.split_whitespace().all(|word| word.starts_with("--"))
}

/// Where a step comes from, by the numbers that the builder prints (`[stage/…] STEP step/…`, both counted from 1).
///
/// Each instruction that [`assemble`] puts behind a `FROM` takes a step: from then on the numbers are higher by how many were `added`.
pub fn origin(file: Option<&Containerfile>, stage: usize, step: usize, added: usize) -> Origin<'_> {
    let stage = stage.checked_sub(2).and_then(|index| file?.stages.get(index));
    let index = match step.checked_sub(1) {
        Some(0) => Some(0),
        Some(behind) if behind > added => Some(behind - added),
        _ => None,
    };
    let instruction = stage.zip(index).and_then(|(stage, index)| stage.instructions.get(index));
    instruction.map_or(Origin::Added, Origin::User)
}

#[cfg(test)]
mod tests;
