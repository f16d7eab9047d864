//! Names and contents of systemd units, as far as systemd itself decides whether it can read them.
//!
//! Source of the rules: systemd.syntax(7) and systemd.unit(5). Which options a section has is left to systemd.

use super::super::error::{Fault, excerpt};

const SUFFIXES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

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
pub fn sections(contents: &str) -> Result<Vec<&str>, Fault> {
    let mut sections = Vec::new();
    let mut continued = false;
    for (index, line) in contents.strip_prefix('\u{feff}').unwrap_or(contents).split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let refused = |what| Fault::UnitSyntax { line: index + 1, what };
        if line.contains('\0') {
            return Err(refused("a NUL character; remove it"));
        }
        let text = line.trim();
        if text.starts_with(['#', ';']) || (text.is_empty() && !continued) {
            continue;
        }
        if !continued {
            match read_line(text, !sections.is_empty()).map_err(refused)? {
                Line::Section(name) => sections.push(name),
                Line::Option => {}
            }
        }
        continued = line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    }
    Ok(sections)
}

enum Line<'a> {
    Section(&'a str),
    Option,
}

fn read_line(text: &str, in_section: bool) -> Result<Line<'_>, &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let name =
            rest.strip_suffix(']').ok_or("a section without its end; write [NAME] and nothing else on the line")?;
        if name.is_empty() || name.contains(['[', ']']) {
            return Err("a section with a broken name; write [NAME], such as [Service]");
        }
        return Ok(Line::Section(name));
    }
    match text.split_once('=') {
        None => Err("neither a [SECTION] nor NAME=VALUE; a value continues on the next line after a final \"\\\""),
        Some((name, _)) if name.trim().is_empty() => Err("a value without a name; write NAME=VALUE"),
        Some(_) if !in_section => Err("an option before the first [SECTION]; write the section above it"),
        Some(_) => Ok(Line::Option),
    }
}
