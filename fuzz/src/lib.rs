//! What holds for every text that somebody else wrote.
//!
//! A target is a parser and its laws. It takes any bytes, and panics when a law does not hold: `cargo xtask fuzz` looks for
//! such bytes, and tests/cases.rs tries those in `cases/` that were found before.

mod butane;
mod containerfile;
mod data_url;
mod ignition;
mod unit;

/// Panics when a law does not hold for these bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("butane", butane::target),
    ("containerfile", containerfile::target),
    ("data-url", data_url::target),
    ("ignition", ignition::target),
    ("unit", unit::target),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
