//! Ignition configurations that are written inline, to be merged by Ignition.

use super::super::edition::Edition;
use super::super::fault::Fault;
use crate::render::ignition::spec::fields::CONFIG;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::{check, json};

/// Checks an inline configuration. What is wrong inside of it is reported at its own paths, as the real tool does.
pub fn check(edition: Edition, inline: &[u8], at: &Path, report: &mut Report) {
    let minor = edition.minor();
    let config = match json::from_text(&CONFIG, minor, inline) {
        Ok(config) => config,
        Err(what) => {
            report.error(Path::default(), &what);
            report.error(at.at("inline"), Fault::NoIgnition(what));
            return;
        }
    };
    let version = config.record.record("ignition").map(|ignition| ignition.text("version")).unwrap_or_default();
    if check::is_other_version(version, minor) {
        report.warning(at.at("version"), Fault::OtherIgnition);
        return;
    }
    report.merge(check::check(&CONFIG, minor, &config.record));
    if config.is_null {
        report.warning(
            Path::default(),
            "an inline configuration is null, so that it cannot be checked; write its fields",
        );
    }
    for path in config.unknown {
        report.warning(path, "is not known in this version of Ignition; nothing reads it");
    }
}
