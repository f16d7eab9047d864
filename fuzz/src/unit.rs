//! Names and contents of units.

use onlay_core::render::ignition::unit::{check_drop_in_name, check_name, sections};

/// The section that is put behind.
const LAST: &str = "X-Last";

/// What can be read can be followed by a section of its own, which changes nothing before it.
pub fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    assert!(check_name(text).is_err() || !text.contains(['/', '\0', '\n']), "a unit in another directory");
    assert!(check_drop_in_name(text).is_err() || !text.contains(['/', '\0', '\n']), "a drop-in in another directory");
    let Ok(mut read) = sections(text) else { return };
    // An empty line ends what a backslash continues.
    let followed = sections(&format!("{text}\n\n[{LAST}]\n"));
    read.push(LAST.to_owned());
    assert_eq!(followed.as_ref(), Ok(&read), "the sections before it became others");
}
