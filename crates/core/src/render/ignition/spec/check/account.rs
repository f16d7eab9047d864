//! Owners of files, directories and links.

use super::super::fault::Fault;
use super::super::path::At;
use super::super::report::Report;
use super::super::tree::Record;

/// An owner is named by number or by name.
pub fn node_account(account: &Record, at: &At<'_>, report: &mut Report) {
    if account.number("id").is_some() && !account.text("name").is_empty() {
        report.error(at.path(), Fault::IdAndName);
    }
}
