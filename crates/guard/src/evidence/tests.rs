//! The answers in `fixtures/systemd-252` were written by systemd 252 on a machine whose kubelet ended at each start, and which
//! had one unit that failed.

use onlay_host::command::{self, Run, Runner};
use rstest::rstest;

use super::{MOST_CHARACTERS, MOST_UNITS, gather, quote};

const LIST: &str = include_str!("../fixtures/systemd-252/crashing.units");
const SHOW: &str = include_str!("../fixtures/systemd-252/crashing.show");
const JOURNAL: &str = include_str!("../fixtures/systemd-252/crashing.journal");
const WELL: &str = include_str!("../fixtures/systemd-252/well.show");

/// A machine with recorded answers; what has none fails.
struct Recorded {
    list: Option<String>,
    show: String,
    journal: Option<String>,
}

impl Recorded {
    fn crashing() -> Self {
        Self { list: Some(LIST.into()), show: SHOW.into(), journal: Some(JOURNAL.into()) }
    }
}

impl Run for Recorded {
    fn output(&self, words: &[&str]) -> Result<String, command::Error> {
        let answer = match words {
            ["timeout", _, "systemctl", "list-units", ..] => self.list.clone(),
            ["timeout", _, "systemctl", "show", ..] => Some(self.show.clone()),
            ["timeout", _, "journalctl", .., "--unit", "kubelet.service"] => self.journal.clone(),
            ["timeout", _, "journalctl", ..] => Some(String::new()),
            _ => None,
        };
        answer.map_or_else(|| Runner::here().output(&["false"]), Ok)
    }
}

#[test]
fn a_kubelet_that_is_started_again_and_again_is_quoted_though_it_has_not_failed() {
    assert_eq!(
        gather(&Recorded::crashing()),
        "kubelet.service: started again and again (exit-code), restarted 8 times, wrote last: \
         Stopped kubelet.service - kubelet: The Kubernetes Node Agent. | \
         Started kubelet.service - kubelet: The Kubernetes Node Agent. | \
         E1121 08:49:01.120914     211 run.go:72] \"command failed\" err=\"failed to parse kubelet flag: unknown flag: \
         --nonsense\" | kubelet.service: Main process exited, code=exited, status=1/FAILURE | \
         kubelet.service: Failed with result 'exit-code'.; \
         containerd.service: active (running); \
         broken.service: failed (exit-code), wrote nothing"
    );
}

#[test]
fn a_kubelet_that_is_well_is_quoted_too() {
    let machine = Recorded { list: Some(String::new()), show: WELL.into(), ..Recorded::crashing() };
    let text = gather(&machine);
    assert!(text.starts_with("kubelet.service: active (running), wrote last: "), "{text}");
    assert!(text.ends_with("; containerd.service: active (running)"), "{text}");
}

#[test]
fn tools_that_fail_are_named() {
    let text = gather(&Recorded { journal: None, ..Recorded::crashing() });
    assert!(text.contains("times, its journal cannot be read: failed to run `false`"), "{text}");
    let text = gather(&Recorded { list: None, ..Recorded::crashing() });
    assert!(text.starts_with("systemd does not say how its units are: failed to run `false`"), "{text}");
}

#[test]
fn a_machine_full_of_failures_fits_into_a_message() {
    let list: String = (0..500).map(|n| format!("u{n}.service loaded failed failed {}\n", "U".repeat(500))).collect();
    let failed =
        |n| format!("Result=exit-code\nId=u{n}.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n");
    let units: Vec<String> = (0..MOST_UNITS).map(failed).collect();
    let journal = format!("{}\n", "é\u{1b}".repeat(1000)).repeat(1000);
    let show = format!("{SHOW}\n{}", units.join("\n"));
    let text = gather(&Recorded { list: Some(list), show, journal: Some(journal) });
    assert!(text.ends_with("; and 497 more units are not well"), "{text}");
    assert!(text.chars().count() < 4000, "{}", text.chars().count());
}

#[rstest]
#[case::lines_are_joined("one\ntwo\n", "wrote last: one | two")]
#[case::empty_lines_are_left_out("one\n\n \ntwo\n", "wrote last: one | two")]
#[case::the_end_counts("one\ntwo\nthree\nfour\n", "wrote last: two | three | four")]
#[case::silence_is_said("", "wrote nothing")]
#[case::control_characters_do_not_reach_a_terminal("a\u{1b}[31mb", "wrote last: a [31mb")]
fn quotes(#[case] journal: &str, #[case] expected: &str) {
    assert_eq!(quote(journal, 3), expected);
}

#[test]
fn long_lines_are_cut() {
    let quoted = quote(&"é".repeat(1000), 3);
    assert_eq!(quoted.strip_prefix("wrote last: ").unwrap().chars().count(), MOST_CHARACTERS + 1);
}
