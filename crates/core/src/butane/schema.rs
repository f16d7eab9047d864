//! What Butane has beside the fields of Ignition, since which version of fcos.
//!
//! Source: the fields of each version as the real tool knows them. Names are Ignition's (`kernelType`) where they reach
//! the output, and Butane's own (`contents_local`) where they do not.

use std::borrow::Cow;

use super::edition::Edition;
use crate::render::ignition::spec::fields::{self, CEX, CONFIG, Field, Kind, NODE_ACCOUNT, Shape, TANG, Table};
use crate::render::ignition::spec::path::snake_case;

use Shape::{Flag, Record, Records, RequiredText, Text, TextMap, Texts, Whole};

macro_rules! table {
    ($name:ident, $kind:literal, [$($field:literal: $shape:expr $(, since $since:literal)?;)*]) => {
        #[doc = concat!("The fields of `", $kind, "`.")]
        pub static $name: Table =
            Table { kind: Kind::Foreign($kind), fields: &[$(fields::field($field, $shape)$(.since($since))?,)*] };
    };
}

table!(TREE, "tree", [
    "group": Record(&NODE_ACCOUNT), since 7;
    "local": RequiredText;
    "path": Text;
    "user": Record(&NODE_ACCOUNT), since 7;
    "file_mode": Whole, since 7;
    "dir_mode": Whole, since 7;
]);

table!(BOOT_DEVICE, "boot_device", [
    "layout": Text;
    "luks": Record(&BOOT_LUKS);
    "mirror": Record(&MIRROR);
]);

table!(BOOT_LUKS, "boot_device.luks", [
    "cex": Record(&CEX), since 6;
    "discard": Flag, since 5;
    "device": Text, since 6;
    "tang": Records(&TANG);
    "threshold": Whole;
    "tpm2": Flag;
]);

table!(MIRROR, "boot_device.mirror", ["devices": Texts;]);

table!(GRUB, "grub", ["users": Records(&GRUB_USER);]);

table!(GRUB_USER, "grub.user", ["name": RequiredText; "passwordHash": Text;]);

table!(METADATA, "metadata", ["labels": TextMap; "name": RequiredText;]);

table!(OPENSHIFT, "openshift", [
    "extensions": Texts;
    "fips": Flag;
    "kernelArguments": Texts;
    "kernelType": Text;
]);

table!(SPEC, "spec", [
    "config": Record(&CONFIG);
    "extensions": Texts;
    "fips": Flag;
    "kernelArguments": Texts;
    "kernelType": Text;
]);

table!(MACHINE_CONFIG, "MachineConfig", [
    "apiVersion": RequiredText;
    "kind": RequiredText;
    "metadata": Record(&METADATA);
    "spec": Record(&SPEC);
]);

/// Fields that Butane adds to records of Ignition.
static SUGAR: [(Kind, Field); 11] = [
    (Kind::Config, fields::field("variant", RequiredText)),
    (Kind::Config, fields::field("version", RequiredText)),
    (Kind::Config, fields::field("boot_device", Record(&BOOT_DEVICE)).since(3)),
    (Kind::Config, fields::field("grub", Record(&GRUB)).since(5)),
    (Kind::Resource, fields::field("inline", Text)),
    (Kind::Resource, fields::field("local", Text).since(1)),
    (Kind::Filesystem, fields::field("with_mount_unit", Flag).since(1)),
    (Kind::Storage, fields::field("trees", Records(&TREE)).since(1)),
    (Kind::Unit, fields::field("contents_local", Text).since(5)),
    (Kind::DropIn, fields::field("contents_local", Text).since(5)),
    (Kind::User, fields::field("ssh_authorized_keys_local", Texts).since(5)),
];

/// Sections that only openshift has.
static OPENSHIFT_SECTIONS: [Field; 2] =
    [fields::field("metadata", Record(&METADATA)), fields::field("openshift", Record(&OPENSHIFT))];

/// The fields that a record has in an edition: those of Ignition, then Butane's own.
pub fn known(table: &Table, edition: Edition) -> impl Iterator<Item = &'static Field> + use<> {
    let kind = table.kind;
    let of_ignition =
        table.fields(edition.count(kind)).filter(move |field| (kind, field.name) != (Kind::Ignition, "version"));
    let sugar =
        SUGAR.iter().filter(move |(of, field)| *of == kind && field.is_in(edition.level)).map(|(_, field)| field);
    let only = if kind == Kind::Config && edition.openshift.is_some() { OPENSHIFT_SECTIONS.as_slice() } else { &[] };
    of_ignition.chain(sugar).chain(only)
}

/// Name of a field as it is written in a Butane file.
pub fn name_in_yaml(field: &Field) -> Cow<'static, str> {
    if field.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(snake_case(field.name))
    } else {
        Cow::Borrowed(field.name)
    }
}
