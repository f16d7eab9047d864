//! Which fields the Ignition specifications 3.0 to 3.6 have, of which shape, and since when.
//!
//! Source: the JSON schemas of the specifications. The order is that in which Ignition itself writes the fields.

/// Minor number of a specification 3.x.0, from 0 to 6.
pub type Minor = u8;

/// A record of the specification.
#[derive(Debug)]
pub struct Table {
    /// Which record it is.
    pub kind: Kind,
    /// Its fields, in the order in which they are written.
    pub fields: &'static [Field],
}

/// Records that have rules or keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as in the specification")]
pub enum Kind {
    Cex,
    Clevis,
    ClevisCustom,
    Config,
    Directory,
    Disk,
    DropIn,
    File,
    Filesystem,
    Group,
    HttpHeader,
    Ignition,
    IgnitionConfig,
    KernelArguments,
    Link,
    Luks,
    NodeAccount,
    OldAuthority,
    OldReference,
    Partition,
    Passwd,
    Proxy,
    Raid,
    Resource,
    Security,
    Storage,
    Systemd,
    Tang,
    Timeouts,
    Tls,
    Unit,
    User,
    Verification,
    /// A record of something that generates Ignition configurations.
    Foreign(&'static str),
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    /// Name in JSON.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// First and last specification that have it with this shape.
    pub versions: (Minor, Minor),
}

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A text that can be left out.
    Text,
    /// A text that is written even when nobody gave one.
    RequiredText,
    /// A text whose empty value is the same as none.
    PlainText,
    /// A text that is written as `null` when nobody gave one.
    NullText,
    /// A whole number that can be left out.
    Whole,
    /// A whole number whose 0 is the same as none.
    PlainWhole,
    /// True or false; can be left out.
    Flag,
    /// A list of texts.
    Texts,
    /// Texts by freely chosen names.
    TextMap,
    /// A record whose empty value is the same as none.
    Record(&'static Table),
    /// A record that is written even when empty, if somebody gave it.
    GivenRecord(&'static Table),
    /// A list of records.
    Records(&'static Table),
}

/// A field that every version has.
pub const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, versions: (0, u8::MAX) }
}

impl Field {
    /// The same field, from this version on.
    #[must_use]
    pub const fn since(mut self, minor: Minor) -> Self {
        self.versions.0 = minor;
        self
    }

    /// The same field, up to this version.
    #[must_use]
    pub const fn until(mut self, minor: Minor) -> Self {
        self.versions.1 = minor;
        self
    }

    /// Whether a specification has this field.
    pub fn is_in(&self, minor: Minor) -> bool {
        self.versions.0 <= minor && minor <= self.versions.1
    }
}

impl Table {
    /// The field of this name in a specification.
    pub fn field(&self, name: &str, minor: Minor) -> Option<&'static Field> {
        self.fields(minor).find(|field| field.name == name)
    }

    /// The fields in a specification.
    pub fn fields(&self, minor: Minor) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().filter(move |field| field.is_in(minor))
    }
}

impl Shape {
    /// Whether an empty value is something else than none.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::Text | Self::NullText | Self::Whole | Self::Flag | Self::GivenRecord(_))
    }

    /// The table of the records that the field holds.
    pub fn table(self) -> Option<&'static Table> {
        match self {
            Self::Record(table) | Self::GivenRecord(table) | Self::Records(table) => Some(table),
            _ => None,
        }
    }
}

use Shape::{Flag, GivenRecord, NullText, PlainText, PlainWhole, Record, Records, RequiredText, Text, Texts, Whole};

macro_rules! table {
    ($name:ident, $kind:ident, [$($field:literal: $shape:expr $(, since $since:literal)? $(, until $until:literal)?;)*]) => {
        /// The fields of this record.
        pub static $name: Table = Table {
            kind: Kind::$kind,
            fields: &[$(field($field, $shape)$(.since($since))?$(.until($until))?,)*],
        };
    };
}

table!(CONFIG, Config, [
    "ignition": Record(&IGNITION);
    "kernelArguments": Record(&KERNEL_ARGUMENTS), since 3;
    "passwd": Record(&PASSWD);
    "storage": Record(&STORAGE);
    "systemd": Record(&SYSTEMD);
]);

table!(IGNITION, Ignition, [
    "config": Record(&IGNITION_CONFIG);
    "proxy": Record(&PROXY), since 1;
    "security": Record(&SECURITY);
    "timeouts": Record(&TIMEOUTS);
    "version": RequiredText;
]);

table!(IGNITION_CONFIG, IgnitionConfig, [
    "merge": Records(&OLD_REFERENCE), until 0;
    "merge": Records(&RESOURCE), since 1;
    "replace": Record(&OLD_REFERENCE), until 0;
    "replace": Record(&RESOURCE), since 1;
]);

table!(OLD_REFERENCE, OldReference, ["source": NullText; "verification": Record(&VERIFICATION);]);

table!(OLD_AUTHORITY, OldAuthority, ["source": RequiredText; "verification": Record(&VERIFICATION);]);

table!(RESOURCE, Resource, [
    "compression": Text;
    "httpHeaders": Records(&HTTP_HEADER), since 1;
    "source": Text;
    "verification": Record(&VERIFICATION);
]);

table!(HTTP_HEADER, HttpHeader, ["name": RequiredText; "value": Text;]);

table!(VERIFICATION, Verification, ["hash": Text;]);

table!(PROXY, Proxy, ["httpProxy": Text; "httpsProxy": Text; "noProxy": Texts;]);

table!(SECURITY, Security, ["tls": Record(&TLS);]);

table!(TLS, Tls, [
    "certificateAuthorities": Records(&OLD_AUTHORITY), until 0;
    "certificateAuthorities": Records(&RESOURCE), since 1;
]);

table!(TIMEOUTS, Timeouts, ["httpResponseHeaders": Whole; "httpTotal": Whole;]);

table!(KERNEL_ARGUMENTS, KernelArguments, ["shouldExist": Texts; "shouldNotExist": Texts;]);

table!(PASSWD, Passwd, ["groups": Records(&GROUP); "users": Records(&USER);]);

table!(GROUP, Group, [
    "gid": Whole;
    "name": RequiredText;
    "passwordHash": Text;
    "shouldExist": Flag, since 2;
    "system": Flag;
]);

table!(USER, User, [
    "gecos": Text;
    "groups": Texts;
    "homeDir": Text;
    "name": RequiredText;
    "noCreateHome": Flag;
    "noLogInit": Flag;
    "noUserGroup": Flag;
    "passwordHash": Text;
    "primaryGroup": Text;
    "sshAuthorizedKeys": Texts;
    "shell": Text;
    "shouldExist": Flag, since 2;
    "system": Flag;
    "uid": Whole;
]);

table!(STORAGE, Storage, [
    "directories": Records(&DIRECTORY);
    "disks": Records(&DISK);
    "files": Records(&FILE);
    "filesystems": Records(&FILESYSTEM);
    "links": Records(&LINK);
    "luks": Records(&LUKS), since 2;
    "raid": Records(&RAID);
]);

table!(NODE_ACCOUNT, NodeAccount, ["id": Whole; "name": Text;]);

table!(DIRECTORY, Directory, [
    "group": Record(&NODE_ACCOUNT);
    "overwrite": Flag;
    "path": RequiredText;
    "user": Record(&NODE_ACCOUNT);
    "mode": Whole;
]);

table!(FILE, File, [
    "group": Record(&NODE_ACCOUNT);
    "overwrite": Flag;
    "path": RequiredText;
    "user": Record(&NODE_ACCOUNT);
    "append": Records(&RESOURCE);
    "contents": Record(&RESOURCE);
    "mode": Whole;
]);

table!(LINK, Link, [
    "group": Record(&NODE_ACCOUNT);
    "overwrite": Flag;
    "path": RequiredText;
    "user": Record(&NODE_ACCOUNT);
    "hard": Flag;
    "target": RequiredText, until 2;
    "target": Text, since 3;
]);

table!(DISK, Disk, ["device": RequiredText; "partitions": Records(&PARTITION); "wipeTable": Flag;]);

table!(PARTITION, Partition, [
    "guid": Text;
    "label": Text;
    "number": PlainWhole;
    "resize": Flag, since 2;
    "shouldExist": Flag;
    "sizeMiB": Whole;
    "startMiB": Whole;
    "typeGuid": Text;
    "wipePartitionEntry": Flag;
]);

table!(FILESYSTEM, Filesystem, [
    "device": RequiredText;
    "format": Text;
    "label": Text;
    "mountOptions": Texts, since 1;
    "options": Texts;
    "path": Text;
    "uuid": Text;
    "wipeFilesystem": Flag;
]);

table!(LUKS, Luks, [
    "cex": Record(&CEX), since 5;
    "clevis": GivenRecord(&CLEVIS), until 2;
    "clevis": Record(&CLEVIS), since 3;
    "device": Text;
    "discard": Flag, since 4;
    "keyFile": Record(&RESOURCE);
    "label": Text;
    "name": RequiredText;
    "openOptions": Texts, since 4;
    "options": Texts;
    "uuid": Text;
    "wipeVolume": Flag;
]);

table!(CEX, Cex, ["enabled": Flag;]);

table!(CLEVIS, Clevis, [
    "custom": GivenRecord(&CLEVIS_CUSTOM), until 2;
    "custom": Record(&CLEVIS_CUSTOM), since 3;
    "tang": Records(&TANG);
    "threshold": Whole;
    "tpm2": Flag;
]);

table!(CLEVIS_CUSTOM, ClevisCustom, [
    "config": RequiredText, until 2;
    "config": Text, since 3;
    "needsNetwork": Flag;
    "pin": RequiredText, until 2;
    "pin": Text, since 3;
]);

table!(TANG, Tang, ["advertisement": Text, since 4; "thumbprint": Text; "url": PlainText;]);

table!(RAID, Raid, [
    "devices": Texts;
    "level": RequiredText, until 2;
    "level": Text, since 3;
    "name": RequiredText;
    "options": Texts;
    "spares": Whole;
]);

table!(SYSTEMD, Systemd, ["units": Records(&UNIT);]);

table!(UNIT, Unit, [
    "contents": Text;
    "dropins": Records(&DROP_IN);
    "enabled": Flag;
    "mask": Flag;
    "name": RequiredText;
]);

table!(DROP_IN, DropIn, ["contents": Text; "name": RequiredText;]);
