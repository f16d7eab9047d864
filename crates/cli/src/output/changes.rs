//! What changes, for people: in full with every line of every text, or one line each.

use clap::builder::styling::{AnsiColor, Style};
use onlay_core::change::diff::{Blob, Delta, Detail, Presence};
use onlay_core::change::foresee::CostedChange;

/// What stands for something that is not there.
const NOTHING: &str = "–";
/// Digits of a digest that are shown.
const DIGITS: usize = 12;

const COMES: Style = AnsiColor::Green.on_default();
const GOES: Style = AnsiColor::Red.on_default();
const PLACE: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = Style::new();

/// Every change with everything that differs in it.
pub fn in_full(changes: &[CostedChange]) -> String {
    changes.iter().map(full).collect()
}

/// One line a change, in columns.
pub fn in_brief(changes: &[CostedChange], indent: &str) -> String {
    let subject = |change: &CostedChange| format!("{} {}", mark(change).0, change.description.subject);
    let width = |length: &dyn Fn(&CostedChange) -> usize| changes.iter().map(length).max().unwrap_or(0);
    let first = width(&|change| subject(change).chars().count());
    let second = width(&|change| change.cost.chars().count());
    let line = |change: &CostedChange| {
        let (style, subject) = (mark(change).1, subject(change));
        format!("{indent}{style}{subject:first$}{style:#}  {:second$}  {}\n", change.cost, change.why)
    };
    changes.iter().map(line).collect()
}

fn full(change: &CostedChange) -> String {
    let (mark, style) = mark(change);
    let description = &change.description;
    let mut text = format!("{style}{mark} {}{style:#}\n", description.subject);
    text.push_str(&format!("    costs: {} ({})\n", change.cost, change.why));
    for detail in &description.details {
        text.push_str(&of_detail(detail, description.presence));
    }
    text.push('\n');
    text
}

fn mark(change: &CostedChange) -> (char, Style) {
    match change.description.presence {
        Presence::Added => ('+', COMES),
        Presence::Removed => ('-', GOES),
        Presence::Changed => ('~', PLAIN),
    }
}

fn of_detail(detail: &Detail, presence: Presence) -> String {
    let aspect = detail.aspect.as_str();
    match &detail.delta {
        Delta::Value { old, new } => {
            // What is new and owned by root as a file, or what is gone, needs no more words than its subject.
            let is_plain = aspect == "kind" || [old, new].iter().any(|side| side.as_deref() == Some("root"));
            if presence != Presence::Changed && is_plain {
                return String::new();
            }
            let shown = |side: &Option<String>| side.as_deref().unwrap_or(NOTHING).to_owned();
            format!("    {aspect}: {} → {}\n", shown(old), shown(new))
        }
        Delta::Entries { reordered: true, .. } => format!("    {aspect}: the same in another order\n"),
        Delta::Entries { added, removed, .. } => {
            let lines = |mark, style: Style, entries: &[String]| -> String {
                entries.iter().map(|entry| format!("    {style}{mark} {entry}{style:#}\n")).collect()
            };
            lines('-', GOES, removed) + &lines('+', COMES, added)
        }
        Delta::Text(diff) => format!("    {aspect}:\n{}", diff.unified.lines().map(of_line).collect::<String>()),
        Delta::Bytes { old, new } => format!("    {aspect}: {} → {}\n", of_blob(old.as_ref()), of_blob(new.as_ref())),
    }
}

/// A line of a unified diff.
fn of_line(line: &str) -> String {
    let style = match line.chars().next() {
        Some('+') => COMES,
        Some('-') => GOES,
        Some('@') => PLACE,
        _ => PLAIN,
    };
    format!("      {style}{line}{style:#}\n")
}

fn of_blob(blob: Option<&Blob>) -> String {
    let Some(blob) = blob else { return NOTHING.to_owned() };
    let digits: String = blob.sha256.chars().take(DIGITS).collect();
    format!("{} bytes (sha256 {digits}…)", blob.size)
}
