//! Which fields an Ignition 3 configuration may have, and of which type.
//!
//! Source: the fields of specification 3.5.0, which has every field of 3.0 to 3.4 with the same meaning. As Ignition
//! does, fields that the specification does not have are ignored, and reported so that a typing mistake is seen.

use super::fields::Field::{self, Flag, Record as Fields, Records, Refused, RequiredText, Text, Texts, Whole};
use super::fields::Record;
use super::types::{
    Account, Config, Directory, DropIn, File, Header, KernelArguments, Link, Node, Passwd, Resource, Storage, Systemd,
    Unit, User, Verification,
};

const DISK: &str = "lay out disks when the node is installed and leave this field out";
const ACCOUNT: &str = "create accounts and groups in the image, with a Containerfile, and leave this field out";

impl Record for Config {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "ignition" => Fields(&mut self.ignition),
            "kernelArguments" => Fields(&mut self.kernel_arguments),
            "passwd" => Fields(&mut self.passwd),
            "storage" => Fields(&mut self.storage),
            "systemd" => Fields(&mut self.systemd),
            _ => return None,
        })
    }
}

impl Record for Header {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "version" => RequiredText(&mut self.version),
            "config" => Refused("write what it would fetch into a MachineConfig of its own"),
            _ => return None,
        })
    }
}

impl Record for KernelArguments {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "shouldExist" => Texts(&mut self.should_exist),
            "shouldNotExist" => Refused("remove the argument from the MachineConfig that adds it, or from the image"),
            _ => return None,
        })
    }
}

impl Record for Passwd {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "users" => Records(&mut self.users),
            "groups" => Refused(ACCOUNT),
            _ => return None,
        })
    }
}

impl Record for User {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "name" => RequiredText(&mut self.name),
            "sshAuthorizedKeys" => Texts(&mut self.ssh_authorized_keys),
            "passwordHash" => Refused("use sshAuthorizedKeys, or set the password in the image"),
            "uid" | "gecos" | "homeDir" | "noCreateHome" | "primaryGroup" | "groups" | "noUserGroup" | "noLogInit"
            | "shell" | "shouldExist" | "system" => Refused(ACCOUNT),
            _ => return None,
        })
    }
}

impl Record for Storage {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "disks" | "raid" | "luks" | "filesystems" => Refused(DISK),
            "files" => Records(&mut self.files),
            "directories" => Records(&mut self.directories),
            "links" => Records(&mut self.links),
            _ => return None,
        })
    }
}

impl Record for Node {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "path" => RequiredText(&mut self.path),
            "overwrite" => Flag(&mut self.overwrite),
            "user" => Fields(&mut self.user),
            "group" => Fields(&mut self.group),
            _ => return None,
        })
    }
}

impl Record for Account {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "id" => Whole(&mut self.id),
            "name" => Text(&mut self.name),
            _ => return None,
        })
    }
}

impl Record for File {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "mode" => Whole(&mut self.mode),
            "contents" => Fields(&mut self.contents),
            "append" => Records(&mut self.append),
            _ => return self.node.field(name),
        })
    }
}

impl Record for Directory {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "mode" => Whole(&mut self.mode),
            _ => return self.node.field(name),
        })
    }
}

impl Record for Link {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "target" => Text(&mut self.target),
            "hard" => Flag(&mut self.hard),
            _ => return self.node.field(name),
        })
    }
}

impl Record for Resource {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "source" => Text(&mut self.source),
            "compression" => Text(&mut self.compression),
            "verification" => Fields(&mut self.verification),
            "httpHeaders" => Refused("contents are data URLs, which have no headers"),
            _ => return None,
        })
    }
}

impl Record for Verification {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "hash" => Text(&mut self.hash),
            _ => return None,
        })
    }
}

impl Record for Systemd {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "units" => Records(&mut self.units),
            _ => return None,
        })
    }
}

impl Record for Unit {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "name" => RequiredText(&mut self.name),
            "contents" => Text(&mut self.contents),
            "enabled" => Flag(&mut self.enabled),
            "mask" => Flag(&mut self.mask),
            "dropins" => Records(&mut self.dropins),
            _ => return None,
        })
    }
}

impl Record for DropIn {
    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "name" => RequiredText(&mut self.name),
            "contents" => Text(&mut self.contents),
            _ => return None,
        })
    }
}
