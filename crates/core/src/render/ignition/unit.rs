//! Names and contents of systemd units, as far as systemd itself decides whether it can read them.
//!
//! Source of the rules: systemd.syntax(7) and systemd.unit(5). Which options a section has is left to systemd.

use super::super::error::{Fault, excerpt};

/// Where units of a configuration are written.
pub const UNITS: &str = "/etc/systemd/system";

const SUFFIXES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

/// What systemd takes for white space around names and values.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Longest file name.
const NAME_MAX: usize = 255;

/// Checks that systemd takes this name for a unit.
pub fn check_name(name: &str) -> Result<(), Fault> {
    let known = name.rsplit_once('.').is_some_and(|(stem, suffix)| !stem.is_empty() && SUFFIXES.contains(&suffix));
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte));
    if known && plain && name.len() <= NAME_MAX { Ok(()) } else { Err(Fault::UnitName(excerpt(name))) }
}

/// Checks that systemd reads a drop-in of this name.
pub fn check_drop_in_name(name: &str) -> Result<(), Fault> {
    let stem = name.strip_suffix(".conf").unwrap_or_default();
    let plain = !name.contains(['/', '\0', '\n']) && !name.starts_with('.');
    if plain && !stem.is_empty() && name.len() <= NAME_MAX { Ok(()) } else { Err(Fault::DropInName(excerpt(name))) }
}

/// Reads the contents of a unit or drop-in and returns the names of its sections, in order.
///
/// A line that ends in a backslash continues on the next one that is no comment, whatever it says.
pub fn sections(contents: &str) -> Result<Vec<String>, Fault> {
    let mut sections = Sections::default();
    let mut begun: Option<(usize, String)> = None;
    let mut has_mark = false;
    for (index, line) in lines(contents) {
        if line.contains('\0') {
            return Err(Fault::UnitSyntax { line: index + 1, what: "a NUL character; remove it" });
        }
        if line.trim_start_matches(WHITE_SPACE).starts_with(['#', ';']) {
            continue;
        }
        let line = match line.strip_prefix('\u{feff}') {
            Some(rest) if !has_mark => {
                has_mark = true;
                rest
            }
            _ => line,
        };
        let (first, mut text) = begun.take().unwrap_or((index, String::new()));
        text.push_str(line);
        let is_continued = line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        if is_continued {
            text.pop();
            text.push(' ');
            begun = Some((first, text));
        } else {
            sections.read(first, &text)?;
        }
    }
    if let Some((first, text)) = begun {
        sections.read(first, &text)?;
    }
    Ok(sections.names)
}

/// Lines that end in a newline, a carriage return, or both, each with the number of newlines before it.
fn lines(contents: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = contents.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.enumerate().flat_map(|(index, line)| line.split('\r').map(move |line| (index, line)))
}

/// The sections so far.
#[derive(Default)]
struct Sections {
    names: Vec<String>,
}

impl Sections {
    /// Reads a line, continued ones joined.
    fn read(&mut self, index: usize, line: &str) -> Result<(), Fault> {
        let refused = |what| Fault::UnitSyntax { line: index + 1, what };
        let text = line.trim_matches(WHITE_SPACE);
        if let Some(rest) = text.strip_prefix('[') {
            let name = section(rest).map_err(refused)?;
            self.names.push(name.to_owned());
            return Ok(());
        }
        // systemd does not look into sections that are somebody else's.
        let is_read = self.names.last().is_none_or(|section| !section.starts_with("X-"));
        match text.split_once('=') {
            _ if text.is_empty() || !is_read => Ok(()),
            None => Err(refused(
                "neither a [SECTION] nor NAME=VALUE; a value continues on the next line after a final \"\\\"",
            )),
            Some((name, _)) if name.trim_matches(WHITE_SPACE).is_empty() => {
                Err(refused("a value without a name; write NAME=VALUE"))
            }
            Some(_) if self.names.is_empty() => {
                Err(refused("an option before the first [SECTION]; write the section above it"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The name of a section, from what follows its opening bracket.
fn section(rest: &str) -> Result<&str, &'static str> {
    let name = rest.strip_suffix(']').ok_or("a section without its end; write [NAME] and nothing else on the line")?;
    // Brackets are letters of a name that systemd does not know; somebody else's sections it does not ask about.
    let brackets = if name.starts_with("X-") { "" } else { "[]" };
    let is_broken = |c: char| c.is_control() || "\"'\\".contains(c) || brackets.contains(c);
    if name.is_empty() || name.contains(is_broken) {
        return Err("a section with a broken name; write [NAME], such as [Service]");
    }
    Ok(name)
}
