//! The lab's network on the host: a bridge, routes to the pods of each node, address translation to the outside, and
//! the kernel settings that this needs.
//!
//! Everything can be removed without touching anything else: the bridge carries the state directory of its lab as
//! alias, each firewall rule carries the comment [`COMMENT`], and a kernel setting that was changed is written down
//! before, and put back only if it still has the lab's value.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::Layout;
use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};

pub mod firewall;

/// The bridge that all nodes hang on.
pub const BRIDGE: &str = "onlaylab0";
/// The host's address on the bridge: API server, registry and DNS listen here.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 223, 0, 1);
/// The addresses of host and nodes.
pub const NODES: &str = "10.223.0.0/24";
/// The addresses of all pods.
pub const PODS: &str = "10.244.0.0/16";
/// The addresses of services.
pub const SERVICES: &str = "10.96.0.0/16";
/// The address of the service `kubernetes.default`.
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The address of the cluster's DNS service.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The comment on each of the lab's firewall rules.
pub const COMMENT: &str = "onlay-lab";

/// Why the network could not be set up or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The bridge belongs to somebody else.
    #[error(
        "failed to take bridge {BRIDGE}: it belongs to {owner}; remove it there first (for a lab: ONLAY_LAB_DIR=… cargo xtask lab down)"
    )]
    Foreign {
        /// Alias of the bridge, or what is known of it.
        owner: String,
    },
    /// Not the name of a node of the lab.
    #[error("failed to find the address of {name}: nodes are called cp-0 to cp-9 and worker-0 to worker-199")]
    Name {
        /// The name as it was given.
        name: String,
    },
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The firewall rules could not be written down for iptables-restore.
    #[error("failed to write the firewall rules to a temporary file")]
    Script(#[source] io::Error),
    /// A kernel setting could not be read or written.
    #[error("failed to set {path} to {value}")]
    Setting {
        /// File below /proc/sys.
        path: Utf8PathBuf,
        /// The wanted value.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The record of the settings could not be written or read.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// The record of the settings is not what the lab wrote.
    #[error("failed to read the settings that the lab changed from {path}")]
    Record {
        /// The record.
        path: Utf8PathBuf,
        /// Where the JSON is wrong.
        source: serde_json::Error,
    },
}

/// The addresses of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Address on the bridge, with prefix length 24 and [`HOST`] as gateway.
    pub ip: Ipv4Addr,
    /// Its pods, for example `10.244.20.0/24`; the third number is the last one of the node's address.
    pub pods: String,
}

/// The addresses of the node `name`: `cp-N` has 10.223.0.(10+N), `worker-N` has 10.223.0.(20+N).
pub fn address_of(name: &str) -> Result<NodeAddress, NetworkError> {
    let wrong = || NetworkError::Name { name: name.to_owned() };
    let (role, number) = name.rsplit_once('-').ok_or_else(wrong)?;
    let number: u8 = number.parse().map_err(|_| wrong())?;
    let last = match role {
        "cp" if number < 10 => 10 + number,
        "worker" if number < 200 => 20 + number,
        _ => return Err(wrong()),
    };
    Ok(NodeAddress { ip: Ipv4Addr::new(10, 223, 0, last), pods: format!("10.244.{last}.0/24") })
}

/// Makes bridge, settings and firewall rules; what is there already stays.
pub async fn up(layout: &Layout) -> Result<(), NetworkError> {
    let alias = alias_of(layout);
    match owner() {
        Owner::Nobody => drop(command::run(&["ip", "link", "add", "name", BRIDGE, "type", "bridge"]).await?),
        Owner::Unnamed => {}
        Owner::Named(found) if found == alias => {}
        Owner::Named(owner) => return Err(NetworkError::Foreign { owner }),
    }
    let address = format!("{HOST}/24");
    command::run(&["ip", "link", "set", "dev", BRIDGE, "alias", &alias]).await?;
    command::run(&["ip", "address", "replace", &address, "dev", BRIDGE]).await?;
    command::run(&["ip", "link", "set", "dev", BRIDGE, "up"]).await?;
    change_settings(&settings_record(layout))?;
    firewall::replace(&firewall::rules()).await?;
    Ok(())
}

/// Sends packets for the pods of `node` to it. The route vanishes with the bridge.
pub async fn route(node: &NodeAddress) -> Result<(), NetworkError> {
    command::run(&["ip", "route", "replace", &node.pods, "via", &node.ip.to_string(), "dev", BRIDGE]).await?;
    Ok(())
}

/// Removes what [`up`] made for this lab, and nothing of another one.
pub async fn down(layout: &Layout) -> Result<(), NetworkError> {
    match owner() {
        Owner::Named(found) if found != alias_of(layout) => return Ok(()),
        Owner::Nobody => {}
        Owner::Named(_) | Owner::Unnamed => drop(command::run(&["ip", "link", "delete", "dev", BRIDGE]).await?),
    }
    firewall::replace(&[]).await?;
    restore_settings(&settings_record(layout))
}

/// Whether the bridge of this lab exists.
pub fn is_up(layout: &Layout) -> bool {
    owner() == Owner::Named(alias_of(layout))
}

#[derive(Debug, PartialEq, Eq)]
enum Owner {
    /// There is no such bridge.
    Nobody,
    /// A bridge without alias and ports: a run was killed between making it and naming it.
    Unnamed,
    /// The alias, or a description of a bridge that no lab made.
    Named(String),
}

fn owner() -> Owner {
    let class = Utf8Path::new("/sys/class/net").join(BRIDGE);
    if !class.exists() {
        return Owner::Nobody;
    }
    let alias = std::fs::read_to_string(class.join("ifalias")).unwrap_or_default();
    let ports = class.join("brif").read_dir_utf8().map(Iterator::count);
    match (alias.trim(), ports) {
        ("", Ok(0)) => Owner::Unnamed,
        ("", Ok(ports)) => Owner::Named(format!("something unknown (no alias, {ports} ports)")),
        ("", Err(_)) => Owner::Named("something unknown (not a bridge)".to_owned()),
        (alias, _) => Owner::Named(alias.to_owned()),
    }
}

fn alias_of(layout: &Layout) -> String {
    format!("onlay-lab {}", layout.state())
}

/// Settings below /proc/sys and the least value each must have.
const SETTINGS: [(&str, u64); 3] =
    [("net/ipv4/ip_forward", 1), ("fs/inotify/max_user_instances", 1024), ("fs/inotify/max_user_watches", 262_144)];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    before: u64,
    after: u64,
}

fn settings_record(layout: &Layout) -> Utf8PathBuf {
    layout.state().join("settings.json")
}

fn change_settings(record: &Utf8Path) -> Result<(), NetworkError> {
    let mut changes = read_changes(record)?;
    for (name, least) in SETTINGS {
        let before = read_setting(name, least)?;
        if before < least {
            changes.entry(name.to_owned()).or_insert(Change { before, after: least });
        }
    }
    let text = serde_json::to_string_pretty(&changes)
        .map_err(|source| NetworkError::Record { path: record.to_owned(), source })?;
    layout::write_whole(record, text, 0o644)?;
    changes.iter().try_for_each(|(name, change)| write_setting(name, change.after))
}

fn restore_settings(record: &Utf8Path) -> Result<(), NetworkError> {
    for (name, change) in read_changes(record)? {
        if read_setting(&name, change.before)? == change.after {
            write_setting(&name, change.before)?;
        }
    }
    Ok(layout::remove_file(record)?)
}

fn read_changes(record: &Utf8Path) -> Result<BTreeMap<String, Change>, NetworkError> {
    match std::fs::read_to_string(record) {
        Ok(text) => {
            serde_json::from_str(&text).map_err(|source| NetworkError::Record { path: record.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(LayoutError::Io { path: record.to_owned(), source }.into()),
    }
}

fn read_setting(name: &str, value: u64) -> Result<u64, NetworkError> {
    let path = Utf8Path::new("/proc/sys").join(name);
    let parsed = std::fs::read_to_string(&path).and_then(|text| text.trim().parse().map_err(io::Error::other));
    parsed.map_err(|source| NetworkError::Setting { path, value: value.to_string(), source })
}

fn write_setting(name: &str, value: u64) -> Result<(), NetworkError> {
    let path = Utf8Path::new("/proc/sys").join(name);
    let value = value.to_string();
    std::fs::write(&path, &value).map_err(|source| NetworkError::Setting { path, value, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_node_gives_its_addresses() {
        let address = |ip, pods: &str| NodeAddress { ip: Ipv4Addr::from(ip), pods: pods.to_owned() };
        assert_eq!(address_of("cp-0").unwrap(), address([10, 223, 0, 10], "10.244.10.0/24"));
        assert_eq!(address_of("worker-0").unwrap(), address([10, 223, 0, 20], "10.244.20.0/24"));
        assert_eq!(address_of("worker-12").unwrap(), address([10, 223, 0, 32], "10.244.32.0/24"));
    }

    #[test]
    fn a_name_that_is_no_node_of_the_lab_is_refused() {
        for name in ["", "worker", "worker-", "worker-200", "cp-10", "db-0", "worker--1"] {
            assert!(matches!(address_of(name), Err(NetworkError::Name { .. })), "{name}");
        }
    }
}
