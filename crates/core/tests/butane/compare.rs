//! How our answer differs from that of the real tool.

use onlay_core::butane::{Finding as Found, LocalFiles, Options, Output, Severity, translate};
use serde_json::Value;

use super::answer::{self, Answer, Finding};
use super::cases::Case;
use super::files::Folder;

/// Longest difference between two encodings of the same contents that two compressors make, in characters.
const COMPRESSORS_DIFFER: usize = 16;

/// Our answer: the findings, and the output unless it is refused.
pub fn ours(case: &Case) -> (Vec<Found>, Option<Output>) {
    let files = Folder::of_the_cases();
    let files = case.files.then_some(&files as &dyn LocalFiles);
    match translate(&case.text, &Options { raw: case.raw, strict: case.strict }, files) {
        Ok(translated) => (translated.warnings, Some(translated.output)),
        Err(refusal) => (refusal.findings, None),
    }
}

/// How the answers differ: one refuses and the other does not, or the outputs say different things.
pub fn outcomes(findings: &[Found], output: Option<&Output>, real: &Answer) -> Option<String> {
    let output = match (output, real.exit) {
        (None, 0) => return Some(format!("refused: {findings:?}")),
        (None, _) => return None,
        (Some(_), 1..) => return Some(format!("accepted, but the real tool says {}", real.stderr)),
        (Some(output), _) => output,
    };
    let (ours, theirs) = (output.value(), real.value());
    if answer::unpacked(&ours) != answer::unpacked(&theirs) {
        return Some(format!("gives {ours:#}\ninstead of {}", real.stdout));
    }
    if !are_packed_alike(&ours, &theirs) {
        return Some(format!("packs in {ours:#}\nother contents than {}", real.stdout));
    }
    let says_the_same = |pretty| answer::parsed(&output.text(pretty)) == ours;
    (!says_the_same(false) || !says_the_same(true))
        .then(|| format!("its text does not say what it is: {}", output.text(false)))
}

/// How the answers differ, in outcome or in what there is to say about which place.
pub fn answers(case: &Case, real: &Answer) -> Option<String> {
    let (findings, output) = ours(case);
    if let Some(difference) = outcomes(&findings, output.as_ref(), real) {
        return Some(difference);
    }
    let mut ours: Vec<Finding> = findings.iter().map(Finding::from).collect();
    let mut theirs = real.findings();
    if theirs.is_empty() && real.exit != 0 {
        // What the real tool cannot read it names by line alone, and by a wrong line if it is no YAML.
        let is_error = findings.iter().any(|finding| finding.severity == Severity::Error);
        return (!is_error).then(|| format!("finds no error, but the real tool says {}", real.stderr));
    }
    ours.sort();
    theirs.sort();
    (ours != theirs).then(|| format!("finds {findings:#?}\nbut the real tool says {}", real.stderr))
}

/// Whether both pack the same resources, but for those where the packed and the plain text are of about one length.
fn are_packed_alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => ours.iter().zip(theirs).all(|(a, b)| are_packed_alike(a, b)),
        (Value::Object(ours), Value::Object(theirs)) => {
            let length = |fields: &serde_json::Map<_, _>| fields.get("source").and_then(Value::as_str).map(str::len);
            let differ = ours.get("compression") != theirs.get("compression");
            let is_near = match (length(ours), length(theirs)) {
                (Some(a), Some(b)) => a.abs_diff(b) <= COMPRESSORS_DIFFER,
                _ => false,
            };
            let mut below = ours.iter().filter_map(|(name, value)| Some((value, theirs.get(name)?)));
            (!differ || is_near) && below.all(|(a, b)| are_packed_alike(a, b))
        }
        _ => true,
    }
}
