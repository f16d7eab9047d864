//! What a person needs to see about a boot that went wrong: failed units and the end of their journals.

/// The unit whose journal is always of interest.
const KUBELET: &str = "kubelet.service";
/// Seconds that a tool may take: the way back does not wait for its description.
const PATIENCE: &str = "10";
const MOST_UNITS: usize = 5;
const MOST_LINES: usize = 12;
const MOST_CHARACTERS: usize = 240;

/// The command that lists failed units.
pub const LIST_FAILED: [&str; 7] =
    ["timeout", PATIENCE, "systemctl", "list-units", "--failed", "--plain", "--no-legend"];

/// The command that shows the end of a unit's journal of this boot.
pub fn tail_command(unit: &str) -> Vec<String> {
    let lines = MOST_LINES.to_string();
    let journalctl = ["journalctl", "--boot", "--no-pager", "--output=cat", "--lines", &lines, "--unit", unit];
    ["timeout", PATIENCE].into_iter().chain(journalctl).map(String::from).collect()
}

/// The units to show: the kubelet, then the failed ones in the answer of [`LIST_FAILED`]; not more than a few.
pub fn units(failed: &str) -> Vec<String> {
    let names = failed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != KUBELET);
    std::iter::once(KUBELET).chain(names).take(MOST_UNITS).map(String::from).collect()
}

/// A unit's last lines, quoted under its name; long lines are cut, and silence is told as such.
pub fn quote(unit: &str, journal: &str) -> String {
    let lines: Vec<&str> = journal.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = &lines[lines.len().saturating_sub(MOST_LINES)..];
    if end.is_empty() {
        return format!("{unit} wrote nothing in this boot");
    }
    let quoted: Vec<String> = end.iter().map(|line| format!("> {}", cut(line))).collect();
    format!("{unit}:\n{}", quoted.join("\n"))
}

fn cut(line: &str) -> String {
    let mut characters = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() { start + "…" } else { start }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{MOST_CHARACTERS, MOST_LINES, MOST_UNITS, quote, units};

    #[rstest]
    #[case::the_kubelet_is_shown_though_it_did_not_fail("", &["kubelet.service"])]
    #[case::failed_units_follow("a.service loaded failed failed A thing\nb.mount loaded failed failed B\n", &["kubelet.service", "a.service", "b.mount"])]
    #[case::a_failed_kubelet_is_shown_once("kubelet.service loaded failed failed Kubelet\n", &["kubelet.service"])]
    fn chooses_units(#[case] failed: &str, #[case] expected: &[&str]) {
        assert_eq!(units(failed), expected);
    }

    #[test]
    fn many_failed_units_are_bounded() {
        let failed: String = (0..50).map(|n| format!("u{n}.service loaded failed failed U\n")).collect();
        assert_eq!(units(&failed).len(), MOST_UNITS);
    }

    #[rstest]
    #[case::lines_are_quoted("one\ntwo\n", "k.service:\n> one\n> two")]
    #[case::empty_lines_are_left_out("one\n\n \ntwo\n", "k.service:\n> one\n> two")]
    #[case::silence_is_said("", "k.service wrote nothing in this boot")]
    #[case::control_characters_do_not_reach_a_terminal("a\u{1b}[31mb", "k.service:\n> a [31mb")]
    fn quotes(#[case] journal: &str, #[case] expected: &str) {
        assert_eq!(quote("k.service", journal), expected);
    }

    #[test]
    fn the_end_counts_and_long_lines_are_cut() {
        let journal: String = (0..100).map(|n| format!("{n} {}\n", "é".repeat(1000))).collect();
        let quoted = quote("k.service", &journal);
        let lines: Vec<&str> = quoted.lines().collect();
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert!(lines[MOST_LINES].starts_with("> 99 "));
        assert!(lines.iter().all(|line| line.chars().count() <= MOST_CHARACTERS + 3));
    }
}
