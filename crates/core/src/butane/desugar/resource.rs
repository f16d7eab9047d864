//! Contents that are written inline or lie in the files directory.

use super::super::contents::{data_url, percent};
use super::super::local::{self, LocalError};
use super::Context;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

/// The source of a resource.
pub fn contents(context: Context<'_>, given: &Record, made: &mut Record, at: &Path, report: &mut Report) {
    if let Some(path) = given.given_text("local") {
        let from = at.at("local");
        match local::read(context.files, path) {
            Ok(contents) => set_source(context, &contents, made, &from),
            Err(error) => return report.error(from, error),
        }
    }
    if let Some(inline) = given.get("inline").and_then(Tree::as_bytes) {
        set_source(context, inline, made, &at.at("inline"));
    }
}

/// Sets source and compression of a resource to contents.
pub fn set_source(context: Context<'_>, contents: &[u8], made: &mut Record, from: &Path) {
    if context.edition.level == 0 {
        let url = data_url_of_old(contents);
        made.set("source", Tree::given(Value::Text(url), Some(from)));
        return;
    }
    let url = data_url(contents, made.text("compression"), context.may_pack());
    made.set("source", Tree::given(Value::Text(url.source), Some(from)));
    if let Some(compression) = url.compression {
        made.set("compression", Tree::given(Value::Text(compression.to_owned()), Some(from)));
    }
}

/// The first version knows percent-encoding only.
fn data_url_of_old(contents: &[u8]) -> String {
    format!("data:,{}", percent(contents))
}

/// The contents of a unit or drop-in.
pub fn unit_contents(context: Context<'_>, given: &Record, made: &mut Record, at: &Path, report: &mut Report) {
    let Some(path) = given.given_text("contents_local").filter(|path| !path.is_empty()) else { return };
    let from = at.at("contents_local");
    match local::read(context.files, path) {
        Ok(contents) => made.set("contents", Tree::given(Value::from_bytes(&contents), Some(&from))),
        Err(error) => report.error(from, error),
    }
}

/// The public keys of a user, a key each line.
pub fn keys(context: Context<'_>, given: &Record, made: &mut Record, at: &Path, report: &mut Report) {
    let files = given.list("ssh_authorized_keys_local");
    if files.is_empty() {
        return;
    }
    let from = at.at("ssh_authorized_keys_local");
    if context.files.is_none() {
        return report.error(from, LocalError::NoDirectory);
    }
    let mut keys: Vec<Tree> = made.list("sshAuthorizedKeys").to_vec();
    for (index, file) in files.iter().filter_map(Tree::as_text).enumerate() {
        let from = from.nth(index);
        match local::read(context.files, file) {
            Ok(contents) => {
                let text = String::from_utf8_lossy(&contents).into_owned();
                let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
                    Some(line) => line.strip_suffix('\r').unwrap_or(line),
                    None => line,
                });
                let key = |line: &str| Tree::new(Value::Text(line.to_owned()), Some(&from));
                keys.extend(lines.filter(|line| !line.is_empty()).map(key));
            }
            Err(error) => report.error(from, error),
        }
    }
    made.set("sshAuthorizedKeys", Tree::new(Value::List(keys), Some(&from)));
}
