//! Merging one configuration over another of the same specification.
//!
//! Source of the rules: the specification of Ignition on merging. The result knows of each value which of the two it
//! came from; a value that says nothing loses its origin, as in the program whose reports these origins serve.

use std::collections::{HashMap, HashSet};

use super::fields::{Field, Minor, Shape, Table};
use super::keys;
use super::tree::{Record, Tree, Value};

/// Merges `child` over `parent`, both records of this table.
pub fn merge(table: &Table, minor: Minor, mut parent: Record, mut child: Record) -> Record {
    let claimed = claimed(table, minor, &child);
    let mut merged = Record::default();
    for field in table.fields(minor) {
        let (parent, child) = (parent.take(field.name), child.take(field.name));
        let value = match field.shape {
            Shape::RequiredText | Shape::PlainText | Shape::PlainWhole => child.map(attributed),
            Shape::Record(table) => merge_records(table, minor, parent, child, Tree::is_zero),
            Shape::GivenRecord(table) => merge_records(table, minor, parent, child, |_| false),
            Shape::Texts | Shape::Records(_) => merge_lists(table, field, minor, [parent, child], &claimed),
            _ => child.or(parent).map(attributed),
        };
        if let Some(value) = value {
            merged.set(field.name, value);
        }
    }
    merged
}

fn merge_records(
    table: &Table,
    minor: Minor,
    parent: Option<Tree>,
    child: Option<Tree>,
    is_none: impl Fn(&Tree) -> bool,
) -> Option<Tree> {
    let (parent, child) = (parent.filter(|tree| !is_none(tree)), child.filter(|tree| !is_none(tree)));
    match (parent, child) {
        (Some(Tree { value: Value::Record(parent), from, optional }), Some(child)) => {
            let Value::Record(record) = child.value else { return None };
            let value = Value::Record(merge(table, minor, parent, record));
            Some(Tree { value, optional, from: child.from.or(from) })
        }
        (parent, child) => child.or(parent).map(attributed),
    }
}

/// Entries of the child's lists: by shared name and key, the list and the position in it.
type Claimed = HashMap<(&'static str, String), (&'static str, usize)>;

fn claimed(table: &Table, minor: Minor, child: &Record) -> Claimed {
    let mut claimed = Claimed::new();
    for field in table.fields(minor).filter(|field| is_list(field) && !keys::repeats(table, field)) {
        for (index, entry) in child.list(field.name).iter().enumerate() {
            let key = keys::key(field.shape.table(), entry).into_owned();
            claimed.insert((keys::handle(table, field.name), key), (field.name, index));
        }
    }
    claimed
}

fn is_list(field: &Field) -> bool {
    matches!(field.shape, Shape::Texts | Shape::Records(_))
}

fn merge_lists(
    table: &Table,
    field: &Field,
    minor: Minor,
    [parent, child]: [Option<Tree>; 2],
    claimed: &Claimed,
) -> Option<Tree> {
    let origin = |list: &Option<Tree>| list.as_ref().and_then(|list| list.from.clone());
    let (parent_from, child_from) = (origin(&parent), origin(&child));
    let (parent, child) = (into_entries(parent), into_entries(child));
    if parent.is_empty() && child.is_empty() {
        return None;
    }
    let mut contributed = (!parent.is_empty(), !child.is_empty());
    let entries = if keys::repeats(table, field) {
        parent.into_iter().chain(child).map(attributed).collect()
    } else {
        let (entries, by) = unite(table, field, minor, parent, child, claimed);
        contributed = by;
        entries
    };
    let from = child_from.filter(|_| contributed.1).or(parent_from.filter(|_| contributed.0));
    Some(Tree::new(Value::List(entries), from.as_ref()))
}

fn into_entries(list: Option<Tree>) -> Vec<Tree> {
    match list.map(|list| list.value) {
        Some(Value::List(entries)) => entries,
        _ => Vec::new(),
    }
}

/// The entries of both lists by key, and whether parent and child contributed any.
fn unite(
    table: &Table,
    field: &Field,
    minor: Minor,
    parent: Vec<Tree>,
    child: Vec<Tree>,
    claimed: &Claimed,
) -> (Vec<Tree>, (bool, bool)) {
    let each = field.shape.table();
    let handle = keys::handle(table, field.name);
    let mut entries = Vec::with_capacity(parent.len() + child.len());
    let mut contributed = (false, false);
    let mut known = HashSet::new();
    for entry in parent {
        let key = keys::key(each, &entry).into_owned();
        known.insert(key.clone());
        match claimed.get(&(handle, key)) {
            None => {
                contributed.0 = true;
                entries.push(attributed(entry));
            }
            Some((list, index)) if *list == field.name => {
                contributed = (true, true);
                let Some(over) = child.get(*index).cloned() else { continue };
                entries.extend(merge_entries(each, field, minor, entry, over));
            }
            Some(_) => {}
        }
    }
    for entry in child {
        if !known.contains(&*keys::key(each, &entry)) {
            contributed.1 = true;
            entries.push(attributed(entry));
        }
    }
    (entries, contributed)
}

/// Two entries with the same key; none if the child takes the entry away.
fn merge_entries(
    table: Option<&'static Table>,
    field: &Field,
    minor: Minor,
    parent: Tree,
    child: Tree,
) -> Option<Tree> {
    let Some(table) = table else { return Some(attributed(child)) };
    let removed = field.name == "httpHeaders" && child.as_record().is_some_and(|header| header.get("value").is_none());
    if removed {
        return None;
    }
    merge_records(table, minor, Some(parent), Some(child), |_| false)
}

/// Forgets the origin of what says nothing.
fn attributed(mut tree: Tree) -> Tree {
    forget(&mut tree);
    tree
}

fn forget(tree: &mut Tree) -> bool {
    let says = match &mut tree.value {
        Value::Record(record) => record.values_mut().fold(false, |says, value| forget(value) | says),
        Value::List(entries) => entries.iter_mut().fold(false, |says, entry| forget(entry) | says),
        _ => !tree.is_zero(),
    };
    if !says {
        tree.from = None;
    }
    says
}
