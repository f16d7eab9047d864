//! `onlay butane`: a Butane file, translated as the real tool does it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::ColorChoice;
use clap::ValueEnum;
use onlay_core::butane::{self, LocalFiles, Options, Severity, Translated};

use crate::finding::{self, Finding, Source, Spot};
use crate::input::files;
use crate::input::local::FilesDirectory;
use crate::{Exit, Streams};

/// Arguments of `onlay butane`. As in the real tool the last one counts where one is given twice.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Butane file; - or nothing for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Check the file and write no result
    #[arg(short, long)]
    check: bool,
    /// Directory of the local files and trees that the file names; links do not lead out of it
    #[arg(short = 'd', long, value_name = "DIRECTORY")]
    files_dir: Option<PathBuf>,
    /// Write the result into this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write Ignition over several lines
    #[arg(short, long)]
    pretty: bool,
    /// Write plain Ignition, never a MachineConfig
    #[arg(short, long)]
    raw: bool,
    /// Fail if there is any warning
    #[arg(short, long)]
    strict: bool,
    /// Write errors and warnings one a line, without the text around them
    #[arg(long)]
    raw_errors: bool,
    /// When errors and warnings have colours: auto is on a terminal
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", default_missing_value = "always",
        num_args = 0..=1, require_equals = true)]
    color: Color,
}

/// When errors and warnings have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Arguments {
    /// What streams shall do with colours.
    pub fn color(&self) -> ColorChoice {
        match self.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }
}

/// Runs `onlay butane`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let source = match &arguments.file {
        Some(path) if path.as_os_str() != "-" => files::read_file(path),
        _ => files::read_text("<stdin>", streams.input),
    };
    let translated = source.and_then(|source| {
        let directory = arguments.files_dir.as_deref().map(open).transpose()?;
        Ok((translate(arguments, &source, directory.as_ref()), source))
    });
    let (translated, source) = match translated {
        Ok(translated) => translated,
        Err(finding) => {
            streams.show(&[finding])?;
            return Ok(Exit::Error);
        }
    };
    let (output, findings) = match translated {
        Ok(Translated { output, warnings }) => (Some(output), warnings),
        Err(refusal) => (None, refusal.findings),
    };
    if arguments.raw_errors {
        for finding in &findings {
            writeln!(streams.err, "{finding}")?;
        }
    } else {
        let findings: Vec<Finding> = findings.iter().map(|each| of_butane(each, &source)).collect();
        streams.show(&findings)?;
    }
    let Some(output) = output else {
        if !findings.iter().any(|finding| finding.severity == Severity::Error) {
            writeln!(streams.err, "error: there are warnings, and --strict refuses them")?;
        }
        return Ok(Exit::Error);
    };
    if arguments.check {
        return Ok(Exit::Well);
    }
    write(arguments, &output.text(arguments.pretty), streams)
}

fn open(path: &Path) -> Result<FilesDirectory, Finding> {
    FilesDirectory::open(path).map_err(|error| {
        Finding::error(path.display().to_string(), format!("failed to open the files directory: {error}"))
    })
}

fn translate(
    arguments: &Arguments,
    source: &Source,
    directory: Option<&FilesDirectory>,
) -> Result<Translated, butane::Refusal> {
    let options = Options { raw: arguments.raw, strict: arguments.strict };
    butane::translate(&source.text, &options, directory.map(|directory| directory as &dyn LocalFiles))
}

fn of_butane(found: &butane::Finding, source: &Arc<Source>) -> Finding {
    let spot = found.place.map(|place| {
        let start = source.offset(place.line, place.column);
        Spot { source: Arc::clone(source), span: start..end_of_value(&source.text, start), label: None }
    });
    let new = match found.severity {
        Severity::Error => Finding::error,
        Severity::Warning => Finding::warning,
    };
    let finding: finding::Finding = new(source.name.as_str(), found.message.as_str());
    finding.in_field(found.path.trim_start_matches('$').trim_start_matches('.')).at(spot)
}

/// The end of what is shown of a value: of its line, without a comment.
fn end_of_value(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let value = line.split(" #").next().unwrap_or_default();
    let is_flow = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let value = if is_flow { value.split([',', '}', ']']).next().unwrap_or_default() } else { value };
    start + value.trim_end().len()
}

fn write(arguments: &Arguments, text: &str, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let Some(path) = &arguments.output else {
        streams.out.write_all(text.as_bytes())?;
        return Ok(Exit::Well);
    };
    match fs::write(path, text) {
        Ok(()) => Ok(Exit::Well),
        Err(error) => {
            let finding = Finding::error(path.display().to_string(), format!("failed to write: {error}"));
            streams.show(&[finding])?;
            Ok(Exit::Error)
        }
    }
}
