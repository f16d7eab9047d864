//! Arguments of the agent.

use jiff::SignedDuration;
use onlay_agent::Config;
use std::time::Duration;

/// Settings of the agent; the defaults are those of `deploy/`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Node that the agent works on.
    #[arg(long, env = "NODE_NAME")]
    node_name: String,
    /// Where the root of the node is mounted.
    #[arg(long, default_value = "/host")]
    host_root: String,
    /// How long a booted system may stay unconfirmed before the node goes back, such as `5m`; ten times as long if the node looks
    /// well from within.
    #[arg(long, default_value = "5m", value_parser = duration)]
    guard_deadline: Duration,
}

/// A duration as systemd and Kubernetes write it; it must be positive.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| format!("{text} is negative; write a duration such as 5m"))
}

impl Arguments {
    /// The settings.
    pub fn config(self) -> Config {
        Config { node_name: self.node_name, host_root: self.host_root.into(), guard_deadline: self.guard_deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_are_written_with_units() {
        assert_eq!(duration("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
    }
}
