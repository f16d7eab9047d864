//! How the entries of a list are named in messages.

use std::fmt::Arguments;

use super::error::Problem;
use super::problems::Problems;

/// How the entries of a list are named in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As in the MachineConfig that a person wrote; the name of an entry stands before the field.
    ByIndex,
    /// As in a merged configuration, where indexes tell nothing.
    ByKey,
}

impl Naming {
    /// The path of a field of an entry: `list[index]` or `list[key]`.
    pub fn entry(self, list: &str, index: usize, key: &str) -> String {
        match self {
            Self::ByIndex => format!("{list}[{index}]"),
            Self::ByKey => format!("{list}[{key}]"),
        }
    }

    /// Reads each entry of `list`, whose path is written out only for a problem; a problem names its entry.
    pub fn each<T, R>(
        self,
        entries: &[T],
        list: &str,
        key: fn(&T) -> &String,
        read: fn(&T, Arguments<'_>) -> Result<R, Problem>,
        problems: &mut Problems,
    ) -> Vec<R> {
        let entries = entries.iter().enumerate();
        let read = entries.filter_map(|(index, entry)| {
            let key = key(entry);
            problems.take(match self {
                Self::ByIndex => {
                    read(entry, format_args!("{list}[{index}]")).map_err(|problem| problem.in_entry(list, key))
                }
                Self::ByKey => read(entry, format_args!("{list}[{key}]")),
            })
        });
        read.collect()
    }
}
