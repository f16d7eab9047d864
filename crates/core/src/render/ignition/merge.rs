//! Merging one Ignition configuration over another, field by field.
//!
//! Source of the rules: the specification of Ignition on merging. Fields that the child leaves out keep the parent's
//! value; lists unite by key; a child's entry of another kind at the same path replaces the parent's; appended
//! contents add up. Two rules are ours: a new source drops compression and verification of the old one, since they
//! describe contents that are gone; and an owner is replaced as a whole, since only one of id and name may be given.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::collections::btree_map::{BTreeMap, Entry};

use super::super::origin::Part;
use super::types::{Account, Config, Directory, File, Link, Node, Resource, Storage, Unit, User};

/// A configuration under way, and who said what in each of its entries.
///
/// Those who say it are numbered by the caller, in merge order.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// Files, directories and links by [`key_of_path`]; what lies below a path follows it directly.
    pub places: BTreeMap<String, Layered<Place>>,
    /// Units by name.
    pub units: BTreeMap<String, Layered<Unit>>,
    kernel_arguments: United,
    users: BTreeMap<String, United>,
}

/// An entry, and who says what in it.
#[derive(Debug, Clone)]
pub struct Layered<T> {
    /// The entry as merged so far.
    pub entry: T,
    /// Who has a part in it.
    pub part: Part,
}

/// What can be at a path.
#[derive(Debug, Clone)]
pub enum Place {
    /// A regular file.
    File(File),
    /// A directory.
    Directory(Directory),
    /// A link.
    Link(Link),
}

impl Merged {
    /// Merges `child`, which has this number, over what is here.
    pub fn add(&mut self, number: usize, child: Config) {
        self.add_storage(number, child.storage);
        for unit in child.systemd.units {
            let part = part_of_unit(number, &unit);
            lay(&mut self.units, unit.name.clone(), part, sort_drop_ins(unit), merge_unit);
        }
        self.kernel_arguments.add(child.kernel_arguments.should_exist);
        for user in child.passwd.users {
            self.users.entry(user.name).or_default().add(user.ssh_authorized_keys);
        }
    }

    fn add_storage(&mut self, number: usize, storage: Storage) {
        let directories = storage.directories.into_iter().map(Place::Directory);
        let files = storage.files.into_iter().map(Place::File);
        let links = storage.links.into_iter().map(Place::Link);
        for place in directories.chain(files).chain(links) {
            let part = part_of_place(number, &place);
            lay(&mut self.places, key_of_path(&place.node().path), part, place, merge_place);
        }
    }

    /// The merged configuration, every list sorted by key, and who said what: of paths, and of units.
    pub fn into_config(self) -> (Config, Parts, Parts) {
        let mut config = Config::default();
        super::VERSION.clone_into(&mut config.ignition.version);
        let mut paths = Vec::with_capacity(self.places.len());
        for Layered { entry, part } in self.places.into_values() {
            paths.push((entry.node().path.clone(), part));
            match entry {
                Place::File(file) => config.storage.files.push(file),
                Place::Directory(directory) => config.storage.directories.push(directory),
                Place::Link(link) => config.storage.links.push(link),
            }
        }
        let units = self.units.into_iter().map(|(name, Layered { entry, part })| {
            config.systemd.units.push(entry);
            (name, part)
        });
        let units = units.collect();
        config.kernel_arguments.should_exist = self.kernel_arguments.entries;
        let user = |(name, keys): (String, United)| User { name, ssh_authorized_keys: keys.entries };
        config.passwd.users = self.users.into_iter().map(user).collect();
        (config, paths.into_iter().collect(), units)
    }
}

/// Who has a part in entries, by their path or name.
type Parts = BTreeMap<String, Part>;

impl Place {
    /// Path and owner.
    pub fn node(&self) -> &Node {
        match self {
            Self::File(file) => &file.node,
            Self::Directory(directory) => &directory.node,
            Self::Link(link) => &link.node,
        }
    }
}

/// A text that sorts a path by its components, so that what lies below it follows it directly. No path has a NUL in it.
fn key_of_path(path: &str) -> String {
    path.replace('/', "\0")
}

/// Compares paths as their keys do.
pub fn compare_paths(a: &str, b: &str) -> Ordering {
    let key = |byte| if byte == b'/' { 0 } else { byte };
    a.bytes().map(key).cmp(b.bytes().map(key))
}

fn part_of_place(number: usize, place: &Place) -> Part {
    let node = place.node();
    let owner = [("user", node.user != Account::default()), ("group", node.group != Account::default())];
    match place {
        Place::File(file) => {
            let (contents, append) = (file.contents.source.is_some(), !file.append.is_empty());
            let own = [("contents", contents), ("mode", file.mode.is_some()), ("append", append)];
            Part::of(number, owner.into_iter().chain(own))
        }
        Place::Directory(directory) => Part::of(number, owner.into_iter().chain([("mode", directory.mode.is_some())])),
        Place::Link(link) => Part::of(number, owner.into_iter().chain([("target", link.target.is_some())])),
    }
}

fn part_of_unit(number: usize, unit: &Unit) -> Part {
    let own =
        [("contents", unit.contents.is_some()), ("enabled", unit.enabled.is_some()), ("mask", unit.mask.is_some())];
    let own = own.into_iter().map(|(field, is_said)| (Cow::Borrowed(field), is_said));
    let dropins = unit.dropins.iter().map(|dropin| (Cow::Owned(dropin.name.clone()), dropin.contents.is_some()));
    Part::of(number, own.chain(dropins))
}

/// Merges `child` into the map. `merge` answers with the child if it replaces the parent.
fn lay<K: Ord, T>(
    map: &mut BTreeMap<K, Layered<T>>,
    key: K,
    part: Part,
    child: T,
    merge: impl FnOnce(&mut T, T) -> Option<T>,
) {
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(Layered { entry: child, part });
        }
        Entry::Occupied(mut place) => {
            let parent = place.get_mut();
            match merge(&mut parent.entry, child) {
                None => parent.part.add(part),
                Some(child) => {
                    parent.entry = child;
                    parent.part.replace(part);
                }
            }
        }
    }
}

fn merge_place(parent: &mut Place, child: Place) -> Option<Place> {
    match (parent, child) {
        (Place::File(parent), Place::File(child)) => {
            merge_node(&mut parent.node, child.node);
            merge_resource(&mut parent.contents, child.contents);
            parent.append.extend(child.append);
            replace(&mut parent.mode, child.mode);
        }
        (Place::Directory(parent), Place::Directory(child)) => {
            merge_node(&mut parent.node, child.node);
            replace(&mut parent.mode, child.mode);
        }
        (Place::Link(parent), Place::Link(child)) => {
            merge_node(&mut parent.node, child.node);
            replace(&mut parent.target, child.target);
            replace(&mut parent.hard, child.hard);
        }
        (_, child) => return Some(child),
    }
    None
}

fn merge_node(parent: &mut Node, child: Node) {
    replace(&mut parent.overwrite, child.overwrite);
    merge_account(&mut parent.user, child.user);
    merge_account(&mut parent.group, child.group);
}

fn merge_account(parent: &mut Account, child: Account) {
    if child != Account::default() {
        *parent = child;
    }
}

fn merge_resource(parent: &mut Resource, child: Resource) {
    if child.source.is_some() {
        *parent = child;
    } else {
        replace(&mut parent.compression, child.compression);
        replace(&mut parent.verification.hash, child.verification.hash);
    }
}

fn merge_unit(parent: &mut Unit, child: Unit) -> Option<Unit> {
    replace(&mut parent.contents, child.contents);
    replace(&mut parent.enabled, child.enabled);
    replace(&mut parent.mask, child.mask);
    for dropin in child.dropins {
        match parent.dropins.binary_search_by(|known| known.name.cmp(&dropin.name)) {
            Ok(at) => replace(&mut parent.dropins[at].contents, dropin.contents),
            Err(at) => parent.dropins.insert(at, dropin),
        }
    }
    None
}

fn sort_drop_ins(mut unit: Unit) -> Unit {
    unit.dropins.sort_by(|a, b| a.name.cmp(&b.name));
    unit
}

fn replace<T>(parent: &mut Option<T>, child: Option<T>) {
    if child.is_some() {
        *parent = child;
    }
}

/// Texts, each once, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct United {
    entries: Vec<String>,
    known: HashSet<String>,
}

impl United {
    /// Adds what is not there yet.
    pub fn add(&mut self, entries: impl IntoIterator<Item = String>) {
        self.entries.extend(entries.into_iter().filter(|entry| self.known.insert(entry.clone())));
    }

    /// All of them.
    pub fn into_entries(self) -> Vec<String> {
        self.entries
    }
}
