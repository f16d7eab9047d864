//! The part of Ignition 3.5 that a running node can have, as Rust types.

use serde::Serialize;

/// An Ignition configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Which specification the configuration follows.
    pub ignition: Header,
    /// Arguments of the kernel command line.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel_arguments: KernelArguments,
    /// Accounts.
    #[serde(skip_serializing_if = "is_default")]
    pub passwd: Passwd,
    /// Files, directories and links.
    #[serde(skip_serializing_if = "is_default")]
    pub storage: Storage,
    /// Units.
    #[serde(skip_serializing_if = "is_default")]
    pub systemd: Systemd,
}

/// The `ignition` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Version of the specification, such as `3.5.0`.
    pub version: String,
}

/// The `kernelArguments` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelArguments {
    /// Arguments that the command line must have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub should_exist: Vec<String>,
}

/// The `passwd` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Passwd {
    /// Users, keyed by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Login name.
    pub name: String,
    /// Public keys, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_authorized_keys: Vec<String>,
}

/// The `storage` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Directories, keyed by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<Directory>,
    /// Regular files, keyed by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// Links, keyed by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// What files, directories and links have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Absolute, normalised path.
    pub path: String,
    /// Whether something else at the path gives way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// Owning user.
    #[serde(skip_serializing_if = "is_default")]
    pub user: Account,
    /// Owning group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: Account,
}

/// A user or group by number or by name; root if neither is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Numeric id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Name, looked up on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A regular file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct File {
    /// Path and owner.
    #[serde(flatten)]
    pub node: Node,
    /// What is added after the contents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub append: Vec<Resource>,
    /// The contents.
    #[serde(skip_serializing_if = "is_default")]
    pub contents: Resource,
    /// Permission bits; 0644 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
}

/// A directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Path and owner.
    #[serde(flatten)]
    pub node: Node,
    /// Permission bits; 0755 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
}

/// A symbolic link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Path and owner.
    #[serde(flatten)]
    pub node: Node,
    /// Whether it is a hard link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard: Option<bool>,
    /// Where it leads, as it is stored in the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Contents by URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// `gzip`, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// A data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the unpacked contents must be.
    #[serde(skip_serializing_if = "is_default")]
    pub verification: Verification,
}

/// A promise about contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// `sha512-` or `sha256-` and hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// The `systemd` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Systemd {
    /// Units, keyed by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<Unit>,
}

/// A unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Contents of the unit file; absent or empty for a unit that the image brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    /// Drop-ins, keyed by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropins: Vec<DropIn>,
    /// Enabled, disabled, or left as its preset says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Masked or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<bool>,
    /// Name with its suffix.
    pub name: String,
}

/// A drop-in of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// Contents; nothing is written if absent or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    /// File name, ending in `.conf`.
    pub name: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
