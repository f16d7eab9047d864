//! Reading a whole Ignition configuration of any released specification, as Ignition's own validator does.
//!
//! Source of the rules: the specifications 3.0 to 3.6, and what `ignition-validate` answers. It reads one thing more, the
//! experimental specification that is still to be released.

use std::fmt;

use serde_json::Value as Json;

use super::check;
use super::fault::Fault;
use super::fields::{CONFIG, Minor};
use super::json::{self, Read};
use super::path::Path;
use super::report::{Remark, Report};
use super::tree::Record;

/// The newest released specification is 3.6.0.
const NEWEST: Minor = 6;

/// A configuration that keeps the rules of its specification.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    minor: Minor,
    record: Record,
    warnings: Vec<Remark>,
}

impl Configuration {
    /// The specification 3.x.0 that it follows.
    pub fn minor(&self) -> Minor {
        self.minor
    }

    /// What was accepted but probably not meant.
    pub fn warnings(&self) -> &[Remark] {
        &self.warnings
    }
}

/// As one line of JSON, in Ignition's own order; what says nothing is left out.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json::to_text(&CONFIG, self.minor, &self.record, false))
    }
}

/// Reads a configuration and checks it. The error has at least one remark that is an error.
pub fn read(text: &[u8]) -> Result<Configuration, Report> {
    match serde_json::from_slice(text) {
        Ok(value) => of_value(&value),
        Err(error) => Err(fatal(Path::default(), error)),
    }
}

/// Checks a configuration that was read as JSON. The error has at least one remark that is an error.
pub fn of_value(value: &Json) -> Result<Configuration, Report> {
    let minor = minor(value).map_err(|fault| fatal(Path::default().down(&["ignition", "version"]), fault))?;
    let Read { record, unknown, .. } =
        json::from_value(&CONFIG, minor, value).map_err(|what| fatal(Path::default(), what))?;
    let mut report = check::check(&CONFIG, minor, &record);
    for path in unknown {
        report.warning(path, "is not known in this version of Ignition; nothing reads it");
    }
    if report.is_fatal() { Err(report) } else { Ok(Configuration { minor, record, warnings: report.into_remarks() }) }
}

fn fatal(path: Path, what: impl fmt::Display) -> Report {
    let mut report = Report::default();
    report.error(path, what);
    report
}

/// The specification that a configuration says it follows.
fn minor(config: &Json) -> Result<Minor, Fault> {
    let version = config.get("ignition").and_then(|of| of.get("version")).and_then(Json::as_str).unwrap_or_default();
    check::minor_of(version).filter(|minor| *minor <= NEWEST).ok_or_else(|| Fault::Version(version.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::read;

    #[rstest]
    #[case::the_oldest(r#"{"ignition": {"version": "3.0.0"}}"#, 0)]
    #[case::the_newest(r#"{"ignition": {"version": "3.6.0"}, "storage": {"files": []}}"#, 6)]
    fn every_released_specification_is_read(#[case] text: &str, #[case] minor: u8) {
        let config = read(text.as_bytes()).unwrap();
        assert_eq!(config.minor(), minor);
        assert_eq!(config.to_string(), format!(r#"{{"ignition":{{"version":"3.{minor}.0"}}}}"#));
    }

    #[rstest]
    #[case::no_json("variant: fcos", "$")]
    #[case::nothing("", "$")]
    #[case::no_version("{}", "$.ignition.version")]
    #[case::an_old_specification(r#"{"ignition": {"version": "2.2.0"}}"#, "$.ignition.version")]
    #[case::an_experimental_specification(r#"{"ignition": {"version": "3.7.0-experimental"}}"#, "$.ignition.version")]
    #[case::another_type(r#"{"ignition": {"version": "3.5.0"}, "storage": []}"#, "$")]
    #[case::a_broken_rule(
        r#"{"ignition": {"version": "3.5.0"}, "storage": {"files": [{"path": "etc/a"}]}}"#,
        "$.storage.files.0.path"
    )]
    fn what_breaks_the_specification_is_refused_at_its_path(#[case] text: &str, #[case] path: &str) {
        let report = read(text.as_bytes()).unwrap_err();
        assert_eq!(report.remarks()[0].path.to_string(), path);
    }

    #[test]
    fn unknown_fields_are_warnings() {
        let config = read(br#"{"ignition": {"version": "3.2.0", "extra": 1}}"#).unwrap();
        assert_eq!(config.warnings()[0].path.to_string(), "$.ignition.extra");
    }
}
