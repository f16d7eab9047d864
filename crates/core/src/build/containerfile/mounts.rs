//! What commands are shown by `--mount`.

use std::collections::BTreeMap;

use super::{Containerfile, Instruction, Keyword};

/// The options of one `--mount`, by name in lower case.
pub type Mount<'a> = BTreeMap<String, &'a str>;

/// A secret that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededSecret<'a> {
    /// What it is called.
    pub id: &'a str,
    /// The command.
    pub instruction: &'a Instruction,
}

impl Instruction {
    /// What a command is shown.
    pub fn mounts(&self) -> impl Iterator<Item = Mount<'_>> {
        let arguments = if self.keyword == Keyword::Run { self.arguments.as_str() } else { "" };
        let flags = arguments.split_whitespace().take_while(|word| word.starts_with("--"));
        flags.filter_map(|flag| flag.strip_prefix("--mount=")).map(|mount| {
            let options = mount.trim_matches(['"', '\'']).split(',');
            let option = |text| match str::split_once(text, '=') {
                Some((name, value)) => (name.to_ascii_lowercase(), value),
                None => (text.to_ascii_lowercase(), ""),
            };
            options.map(option).collect()
        })
    }
}

impl Containerfile {
    /// The secrets that commands need: a mount that says `required=false` can do without, and of one whose name is a variable
    /// nothing can be said.
    pub fn secrets(&self) -> impl Iterator<Item = NeededSecret<'_>> {
        self.stages.iter().flat_map(|stage| &stage.instructions).flat_map(|instruction| {
            instruction.mounts().filter_map(move |mount| {
                let optional = mount.get("required") == Some(&"false");
                let is_needed = mount.get("type") == Some(&"secret") && !optional;
                let id = mount.get("id").filter(|id| is_needed && !id.contains('$'))?;
                Some(NeededSecret { id, instruction })
            })
        })
    }
}
