//! Merging one Ignition configuration over another, field by field.
//!
//! Source of the rules: the specification of Ignition on merging. Fields that the child leaves out keep the parent's
//! value; lists unite by key; a child's entry of another kind at the same path replaces the parent's; appended
//! contents add up. Two rules are ours: a new source drops compression and verification of the old one, since they
//! describe contents that are gone; and an owner is replaced as a whole, since only one of id and name may be given.

use std::cmp::Ordering;
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashSet};

use super::types::{Account, Config, Directory, File, Link, Node, Resource, Storage, Unit, User};

/// A configuration under way, and which layers contributed to each of its entries.
///
/// Layers are numbered by the caller.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// Files, directories and links by [`key_of_path`]; what lies below a path follows it directly.
    pub places: BTreeMap<String, Layered<Place>>,
    /// Units by name.
    pub units: BTreeMap<String, Layered<Unit>>,
    kernel_arguments: United,
    users: BTreeMap<String, United>,
}

/// An entry, and the layers that it comes from.
#[derive(Debug, Clone)]
pub struct Layered<T> {
    /// The entry as merged so far.
    pub entry: T,
    /// Numbers of the layers, in merge order.
    pub layers: Vec<usize>,
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
    /// Merges `child`, the layer of number `layer`, over what is here.
    pub fn add(&mut self, layer: usize, child: Config) {
        self.add_storage(layer, child.storage);
        for unit in child.systemd.units {
            lay(&mut self.units, unit.name.clone(), layer, sort_drop_ins(unit), merge_unit);
        }
        self.kernel_arguments.add(child.kernel_arguments.should_exist);
        for user in child.passwd.users {
            self.users.entry(user.name).or_default().add(user.ssh_authorized_keys);
        }
    }

    fn add_storage(&mut self, layer: usize, storage: Storage) {
        let directories = storage.directories.into_iter().map(Place::Directory);
        let files = storage.files.into_iter().map(Place::File);
        let links = storage.links.into_iter().map(Place::Link);
        for place in directories.chain(files).chain(links) {
            lay(&mut self.places, key_of_path(&place.node().path), layer, place, merge_place);
        }
    }

    /// The merged configuration, every list sorted by key, and which layers contributed to each of its entries.
    pub fn into_config(self) -> (Config, Layers) {
        let (mut config, mut layers) = (Config::default(), Layers::default());
        super::VERSION.clone_into(&mut config.ignition.version);
        for (key, place) in self.places {
            layers.0.push((key, place.layers));
            match place.entry {
                Place::File(file) => config.storage.files.push(file),
                Place::Directory(directory) => config.storage.directories.push(directory),
                Place::Link(link) => config.storage.links.push(link),
            }
        }
        for (name, unit) in self.units {
            layers.0.push((name, unit.layers));
            config.systemd.units.push(unit.entry);
        }
        config.kernel_arguments.should_exist = self.kernel_arguments.entries;
        let user = |(name, keys): (String, United)| User { name, ssh_authorized_keys: keys.entries };
        config.passwd.users = self.users.into_iter().map(user).collect();
        (config, layers)
    }
}

/// Numbers of the layers that contributed to the entries of a merged configuration, by the keys of the entries.
#[derive(Debug, Default)]
pub struct Layers(Vec<(String, Vec<usize>)>);

impl Layers {
    /// The layers that contributed to entries, which are named by their path or, for units, by their name.
    pub fn of(&self, names: [&str; 2]) -> Vec<usize> {
        let keys = names.map(key_of_path);
        let layers = self.0.iter().filter(|(key, _)| keys.contains(key)).flat_map(|(_, layers)| layers);
        layers.copied().collect::<BTreeSet<usize>>().into_iter().collect()
    }
}

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

/// Merges `child` into the map. `merge` answers with the child if it replaces the parent.
fn lay<K: Ord, T>(
    map: &mut BTreeMap<K, Layered<T>>,
    key: K,
    layer: usize,
    child: T,
    merge: impl FnOnce(&mut T, T) -> Option<T>,
) {
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(Layered { entry: child, layers: vec![layer] });
        }
        Entry::Occupied(place) => {
            let parent = place.into_mut();
            match merge(&mut parent.entry, child) {
                None => parent.layers.push(layer),
                Some(child) => *parent = Layered { entry: child, layers: vec![layer] },
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
