//! The guard's program and units on a host, for the agent to install.

/// Where the agent puts the guard's program; on /var, so that every deployment has the same one.
pub const PROGRAM: &str = "/var/lib/onlay/bin/onlay-guard";

/// A unit of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardUnit {
    /// File name below /etc/systemd/system.
    pub name: &'static str,
    /// Contents of the unit file.
    pub contents: &'static str,
}

/// Converges the booted deployment's files before containerd and kubelet start.
pub const BOOT: GuardUnit =
    GuardUnit { name: "onlay-guard.service", contents: include_str!("../units/onlay-guard.service") };

/// Waits for the agent's word about the booted deployment, until a deadline.
pub const WATCH: GuardUnit =
    GuardUnit { name: "onlay-guard-watch.service", contents: include_str!("../units/onlay-guard-watch.service") };

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{BOOT, GuardUnit, PROGRAM, WATCH};

    #[rstest]
    #[case::the_boot_unit(BOOT, "boot")]
    #[case::the_watch_unit(WATCH, "watch")]
    fn units_say_what_the_constants_say(#[case] unit: GuardUnit, #[case] command: &str) {
        assert!(unit.contents.contains(&format!("ExecStart={PROGRAM} {command}\n")));
    }
}
