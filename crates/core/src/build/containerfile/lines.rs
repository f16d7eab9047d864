//! From lines of text to instructions.

use super::heredoc::{self, Marker};
use super::{ContainerfileError, Fault, Instruction, Keyword};

/// The lines of a text, with the number of the next one.
struct Lines<'a> {
    rest: std::str::Lines<'a>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.rest.next()?;
        self.number += 1;
        Some(line)
    }
}

/// Splits a text into what stands above the first instruction, and the instructions.
///
/// What editors of other systems write, a byte order mark and carriage returns, is no part of any line: commands, scripts and
/// files of heredocs are for Linux.
pub(super) fn split(text: &str) -> Result<(String, Vec<Instruction>), ContainerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_of(text);
    let mut lines = Lines { rest: text.lines(), number: 0 };
    let (mut head, mut instructions) = (String::new(), Vec::new());
    while let Some(line) = lines.next() {
        if is_comment(line) || line.trim().is_empty() {
            if instructions.is_empty() {
                head.push_str(line);
                head.push('\n');
            }
        } else {
            instructions.push(instruction(line, &mut lines, escape)?);
        }
    }
    Ok((head, instructions))
}

/// The character that continues a line: a backslash, unless a directive on top of the text says otherwise.
fn escape_of(text: &str) -> char {
    for line in text.lines() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|line| line.split_once('=')) else { break };
        if key.trim().eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn instruction(first: &str, lines: &mut Lines<'_>, escape: char) -> Result<Instruction, ContainerfileError> {
    let number = lines.number;
    let (logical, source) = join(first, lines, escape)?;
    let logical = logical.trim();
    let (word, arguments) = logical.split_once(char::is_whitespace).unwrap_or((logical, ""));
    let keyword = Keyword::read(word).ok_or_else(|| Fault::Unknown(word.to_owned()).on(number, logical))?;
    let mut instruction =
        Instruction { line: number, keyword, arguments: arguments.trim().to_owned(), heredocs: Vec::new(), source };
    if instruction.arguments.is_empty() {
        return Err(Fault::NoArguments(keyword.as_str()).at(&instruction));
    }
    for marker in heredoc::markers(&instruction) {
        let body = body(&marker, lines).ok_or_else(|| Fault::Unended(marker.name.clone()).at(&instruction))?;
        instruction.heredocs.push(marker.with(body));
    }
    Ok(instruction)
}

/// Joins a line with those that continue it; gives the joined text and the lines as they were written.
fn join(first: &str, lines: &mut Lines<'_>, escape: char) -> Result<(String, String), ContainerfileError> {
    let start = lines.number;
    let mut source = format!("{first}\n");
    let mut logical = String::new();
    let mut line = first;
    while let Some(continued) = line.trim_end().strip_suffix(escape) {
        logical.push_str(continued);
        line = loop {
            let next = lines.next().ok_or_else(|| Fault::Dangling(escape).on(start, &logical))?;
            source.push_str(next);
            source.push('\n');
            if !is_comment(next) && !next.trim().is_empty() {
                break next;
            }
        };
    }
    logical.push_str(line);
    Ok((logical, source))
}

/// The lines up to the end of a heredoc; none if it has no end.
fn body(marker: &Marker, lines: &mut Lines<'_>) -> Option<String> {
    let mut body = String::new();
    loop {
        let line = lines.next()?;
        let line = if marker.strip_tabs { line.trim_start_matches('\t') } else { line };
        if line == marker.name {
            return Some(body);
        }
        body.push_str(line);
        body.push('\n');
    }
}
