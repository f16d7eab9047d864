//! What the running systemd says about units.

use crate::command::{self, Run};

/// A unit that does not run as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwell {
    /// Name of the unit.
    pub unit: String,
    /// Its state in systemd's words, as `failed (exit-code)`.
    pub state: String,
}

/// Which of `units` have failed, or are started again and again. Units that do not exist are well.
pub fn unwell(run: &dyn Run, units: &[&str]) -> Result<Vec<Unwell>, command::Error> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = vec!["systemctl", "show", "--property=Id,ActiveState,SubState,Result", "--"];
    command.extend(units);
    Ok(parse_show(&run.output(&command)?))
}

/// Reads `systemctl show`: blocks of `KEY=VALUE` lines, one block a unit, an empty line between them.
pub fn parse_show(text: &str) -> Vec<Unwell> {
    let unwell = |block: &str| {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim()
        };
        let state = match (value("ActiveState"), value("SubState")) {
            ("failed", _) => "failed",
            (_, "auto-restart") => "started again and again",
            _ => return None,
        };
        Some(Unwell { unit: value("Id").to_owned(), state: format!("{state} ({})", value("Result")) })
    };
    text.split("\n\n").filter_map(unwell).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::parse_show;

    #[rstest]
    #[case::running("Id=a.service\nActiveState=active\nSubState=running\nResult=success\n", &[])]
    #[case::failed("Result=exit-code\nId=a.service\nActiveState=failed\nSubState=failed\n", &["a.service: failed (exit-code)"])]
    #[case::crashing(
        "Result=exit-code\nId=a.service\nActiveState=activating\nSubState=auto-restart\n",
        &["a.service: started again and again (exit-code)"]
    )]
    #[case::missing("Id=no.service\nActiveState=inactive\nSubState=dead\nResult=success\n", &[])]
    #[case::several(
        "Id=a.service\nActiveState=failed\nSubState=failed\nResult=timeout\n\nId=b.mount\nActiveState=active\nSubState=mounted\n",
        &["a.service: failed (timeout)"]
    )]
    #[case::nothing("", &[])]
    fn units_that_are_unwell(#[case] text: &str, #[case] expected: &[&str]) {
        let found: Vec<_> = parse_show(text).iter().map(|found| format!("{}: {}", found.unit, found.state)).collect();
        assert_eq!(found, expected);
    }
}
