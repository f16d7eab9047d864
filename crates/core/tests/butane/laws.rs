//! What holds for every text.

use onlay_core::butane::{Options, Output, Severity, translate};
use proptest::prelude::*;

use super::cases::{self, TOPICS};

/// Texts that are nearly Butane files: lines of cases, cut, doubled and mixed.
fn nearly_butane() -> impl Strategy<Value = String> {
    let all: Vec<String> =
        TOPICS.iter().flat_map(|topic| cases::of(topic, cases::RECORDED)).map(|case| case.text).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..4_u8), 0..6);
    (prop::sample::select(all), changes).prop_map(|(text, changes)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, letter, kind) in changes {
            if letters.is_empty() {
                break;
            }
            let at = at.index(letters.len());
            match kind {
                0 => letters.insert(at, letter),
                1 => drop(letters.remove(at)),
                2 => letters.insert(at, [':', '-', '{', '[', '&', '*', '\n', ' '][letter as usize % 8]),
                _ => letters.truncate(at),
            }
        }
        letters.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in any::<String>(), raw: bool, strict: bool) {
        let _ = translate(&text, &Options { raw, strict }, None);
    }

    #[test]
    fn nearly_butane_gets_the_same_answer_twice(text in nearly_butane(), raw: bool) {
        let options = Options { raw, strict: false };
        let folder = super::files::Folder::of_the_cases();
        let first = translate(&text, &options, Some(&folder));
        prop_assert_eq!(&first, &translate(&text, &options, Some(&folder)));
        match first {
            Ok(translated) => {
                prop_assert!(translated.warnings.iter().all(|finding| finding.severity == Severity::Warning));
                let parsed = super::answer::parsed(&translated.output.text(false));
                prop_assert_eq!(parsed, translated.output.value());
                let is_machine_config = matches!(translated.output, Output::MachineConfig(_));
                prop_assert!(!(raw && is_machine_config));
            }
            Err(refusal) => prop_assert!(refusal.findings.iter().any(|finding| finding.severity == Severity::Error)),
        }
    }

    #[test]
    fn strict_refuses_exactly_what_has_warnings(text in nearly_butane()) {
        let folder = super::files::Folder::of_the_cases();
        let lax = translate(&text, &Options::default(), Some(&folder));
        let strict = translate(&text, &Options { raw: false, strict: true }, Some(&folder));
        let has_none = lax.as_ref().is_ok_and(|translated| translated.warnings.is_empty());
        prop_assert_eq!(strict.is_ok(), has_none);
    }

    #[test]
    fn every_place_is_in_the_file(text in nearly_butane()) {
        let refusal = match translate(&text, &Options::default(), None) {
            Ok(translated) => translated.warnings,
            Err(refusal) => refusal.findings,
        };
        let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
        for place in refusal.iter().filter_map(|finding| finding.place) {
            prop_assert!(place.line >= 1 && place.line <= lines && place.column >= 1, "{place} of {lines} lines");
        }
    }
}
