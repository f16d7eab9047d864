//! Who owns a file, directory or link.

use super::error::{Fault, excerpt};
use super::ignition::types::Account;

/// The id that means "unchanged" to chown(2).
const NO_ID: u32 = u32::MAX;

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// By number; 0 is root.
    Id(u32),
    /// By name, looked up on the node. Never `root`, which is number 0.
    Name(String),
}

impl Owner {
    /// The owner that an account names: root if it names none.
    pub(super) fn of(account: &Account) -> Result<Self, Fault> {
        match (account.id, account.name.as_deref().filter(|name| !name.is_empty())) {
            (Some(_), Some(_)) => Err(Fault::IdAndName),
            (Some(id), None) => {
                let known = u32::try_from(id).ok().filter(|id| *id != NO_ID);
                Ok(Self::Id(known.ok_or(Fault::Id(id))?))
            }
            (None, Some("root") | None) => Ok(Self::Id(0)),
            (None, Some(name)) if name.contains(is_no_part_of_a_name) => Err(Fault::AccountName(excerpt(name))),
            (None, Some(name)) => Ok(Self::Name(name.to_owned())),
        }
    }
}

fn is_no_part_of_a_name(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == ':' || c == '/'
}
