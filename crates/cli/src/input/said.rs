//! What kubectl says to standard error, without the noise around it.
//!
//! Beside what it has to say, kubectl writes lines of the log of its libraries: `E1130 20:57:54.480280   30301
//! memcache.go:265] "Unhandled Error" err="…"`, one for each try. `kubectl kustomize` says nothing but such a line.

use std::iter::Peekable;
use std::str::Chars;

/// What is between the message of a line of the log and its reason.
const REASON: &str = " err=";

/// What there is to tell people: the lines that are no log, else the reasons in the log, each once.
pub fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let (log, plain): (Vec<&str>, Vec<&str>) =
        text.lines().filter(|line| !line.trim().is_empty()).partition(|line| is_log(line));
    if !plain.is_empty() {
        return plain.join("\n").trim().trim_start_matches("error: ").to_owned();
    }
    let mut reasons: Vec<String> = log.into_iter().map(reason).collect();
    reasons.dedup();
    reasons.join("\n")
}

/// Whether a line is one of the log: a letter for the severity, month and day.
fn is_log(line: &str) -> bool {
    let mut chars = line.chars();
    let is_severity = chars.next().is_some_and(|c| "IWEF".contains(c));
    is_severity && chars.by_ref().take(4).filter(char::is_ascii_digit).count() == 4 && chars.next() == Some(' ')
}

/// The reason in a line of the log, else its message.
fn reason(line: &str) -> String {
    let message = line.split_once("] ").map_or(line, |(_, message)| message);
    let Some((_, reason)) = message.split_once(REASON) else { return message.to_owned() };
    match reason.strip_prefix('"') {
        Some(quoted) => unquoted(quoted),
        None => reason.to_owned(),
    }
}

/// A text as Go quotes it, from behind the first quotation mark on.
fn unquoted(text: &str) -> String {
    let (mut plain, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next().filter(|c| *c != '"') {
        plain.push(if c == '\\' { escaped(&mut chars) } else { c });
    }
    plain
}

/// What stands behind a backslash. Numbers of characters are left as they are.
fn escaped(chars: &mut Peekable<Chars<'_>>) -> char {
    match chars.peek() {
        Some('n') => chars.next().map_or('\n', |_| '\n'),
        Some('t') => chars.next().map_or('\t', |_| '\t'),
        Some('"' | '\\') => chars.next().unwrap_or('\\'),
        _ => '\\',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Words of kubectl 1.32.4.
    const NO_CLUSTER: &str = r#"E1130 20:57:54.693011   30306 memcache.go:265] "Unhandled Error" err="couldn't get current server API group list: Get \"http://localhost:8080/api?timeout=30s\": dial tcp 127.0.0.1:8080: connect: connection refused"
E1130 20:57:54.695743   30306 memcache.go:265] "Unhandled Error" err="couldn't get current server API group list: Get \"http://localhost:8080/api?timeout=30s\": dial tcp 127.0.0.1:8080: connect: connection refused"
"#;
    const REFUSED: &str =
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n";
    const KUSTOMIZE: &str = r#"E1130 20:57:54.820229   30401 run.go:72] "command failed" err="invalid Kustomization: yaml: line 1: did not find expected ',' or ']'"
"#;

    #[rstest]
    #[case::words_alone("error: stat nowhere: no such file or directory\n", "stat nowhere: no such file or directory")]
    #[case::words_after_a_log(&(NO_CLUSTER.to_owned() + REFUSED), REFUSED.trim())]
    #[case::several_lines(
        "Error from server (NotFound): a\nError from server (NotFound): b\n",
        "Error from server (NotFound): a\nError from server (NotFound): b"
    )]
    #[case::a_log_alone(
        NO_CLUSTER,
        "couldn't get current server API group list: Get \"http://localhost:8080/api?timeout=30s\": dial tcp \
        127.0.0.1:8080: connect: connection refused"
    )]
    #[case::kustomize(KUSTOMIZE, "invalid Kustomization: yaml: line 1: did not find expected ',' or ']'")]
    #[case::a_log_without_a_reason("W1130 20:57:54.8 1 a.go:1] deprecated\n", "deprecated")]
    #[case::a_reason_over_two_lines(r#"E1130 1 a.go:1] "failed" err="a\n\tb \\ \x41""#, "a\n\tb \\ \\x41")]
    #[case::words_that_look_like_one("E113 is no number of a day", "E113 is no number of a day")]
    #[case::nothing("", "")]
    fn what_kubectl_says(#[case] stderr: &str, #[case] expected: &str) {
        assert_eq!(said(stderr.as_bytes()), expected);
    }
}
