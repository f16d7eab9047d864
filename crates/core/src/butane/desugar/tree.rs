//! Folders of the files directory that become files, directories and links.

use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::local::{LocalEntry, LocalError, LocalNode, path_inside};
use super::resource::set_source;
use super::{Context, Source};
use crate::render::ignition::spec::check::clean_path;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

const DIRECTORY_MODE: i64 = 0o755;
const FILE_MODE: i64 = 0o644;
const PROGRAM_MODE: i64 = 0o755;

/// Adds everything in the trees.
pub fn add(context: Context<'_>, config: &Record, mut made: Record, report: &mut Report) -> Record {
    let trees = config.record("storage").map(|storage| storage.list("trees")).unwrap_or_default();
    if trees.is_empty() {
        return made;
    }
    let (mut storage, from) = match made.take("storage") {
        Some(Tree { value: Value::Record(storage), from, .. }) => (storage, from),
        _ => (Record::default(), None),
    };
    let mut nodes = Nodes::of(&mut storage);
    for (index, tree) in trees.iter().filter_map(Tree::as_record).enumerate() {
        let at = Path::default().down(&["storage", "trees"]).nth(index);
        let Some(files) = context.files else {
            report.error(at, LocalError::NoDirectory);
            break;
        };
        let entries = path_inside(tree.text("local")).and_then(|path| files.tree(&path));
        match entries {
            Ok(entries) => Walk { context, tree, source: Source(at), nodes: &mut nodes, report }.all(entries),
            Err(error) => report.error(at, error),
        }
    }
    nodes.into_storage(&mut storage);
    made.set("storage", Tree { value: Value::Record(storage), optional: false, from });
    made
}

const LISTS: [&str; 3] = ["directories", "files", "links"];

/// The lists of nodes, and which path is where.
struct Nodes {
    lists: [(Vec<Tree>, Option<Path>, bool); 3],
    places: HashMap<String, (usize, usize)>,
}

impl Nodes {
    fn of(storage: &mut Record) -> Self {
        let mut places = HashMap::new();
        let lists = std::array::from_fn(|list| {
            let taken = storage.take(LISTS[list]);
            let is_given = taken.is_some();
            let (entries, from) = match taken {
                Some(Tree { value: Value::List(entries), from, .. }) => (entries, from),
                _ => (Vec::new(), None),
            };
            for (index, entry) in entries.iter().enumerate() {
                if let Some(record) = entry.as_record() {
                    places.insert(record.text("path").to_owned(), (list, index));
                }
            }
            (entries, from, is_given)
        });
        Self { lists, places }
    }

    fn into_storage(self, storage: &mut Record) {
        for (name, (entries, from, is_given)) in LISTS.into_iter().zip(self.lists) {
            if is_given || !entries.is_empty() {
                storage.set(name, Tree { value: Value::List(entries), optional: false, from });
            }
        }
    }

    /// The node at a path, if there is one, and the number of its list.
    fn at(&mut self, path: &str) -> Option<(usize, &mut Record)> {
        let (list, index) = *self.places.get(path)?;
        match self.lists.get_mut(list)?.0.get_mut(index).map(|entry| &mut entry.value) {
            Some(Value::Record(record)) => Some((list, record)),
            _ => None,
        }
    }

    fn push(&mut self, list: usize, path: &str, node: Tree, from: &Path) {
        let Some((entries, origin, _)) = self.lists.get_mut(list) else { return };
        if entries.is_empty() {
            *origin = Some(from.clone());
        }
        self.places.insert(path.to_owned(), (list, entries.len()));
        entries.push(node);
    }
}

const DIRECTORIES: usize = 0;
const FILES: usize = 1;
const LINKS: usize = 2;

struct Walk<'a> {
    context: Context<'a>,
    tree: &'a Record,
    source: Source,
    nodes: &'a mut Nodes,
    report: &'a mut Report,
}

impl Walk<'_> {
    fn all(mut self, mut entries: Vec<LocalEntry>) {
        entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        let root = Some(self.tree.text("path")).filter(|path| !path.is_empty()).unwrap_or("/").to_owned();
        for entry in entries {
            let path = match entry.path.as_str() {
                "" => clean_path(&root),
                below => clean_path(&format!("{root}/{below}")),
            };
            let added = match entry.node {
                Err(error) => Err(error.to_string()),
                Ok(LocalNode::Folder) => self.folder(&path),
                Ok(LocalNode::File { contents, executable }) => self.file(&path, &contents, executable),
                Ok(LocalNode::Link { target }) => self.link(&path, &target),
                Ok(LocalNode::Other) => Err(Fault::NodeKind(path).to_string()),
            };
            if let Err(message) = added {
                self.report.error(self.source.0.clone(), message);
            }
        }
    }

    fn folder(&mut self, path: &str) -> Result<(), String> {
        let mode = self.tree.number("dir_mode");
        if mode.is_none()
            && self.tree.record("user").is_none_or(Record::is_zero)
            && self.tree.record("group").is_none_or(Record::is_zero)
        {
            return Ok(());
        }
        let mode = self.source.number(mode.unwrap_or(DIRECTORY_MODE));
        self.new_node(DIRECTORIES, path, [("mode", mode)])
    }

    fn file(&mut self, path: &str, contents: &[u8], executable: bool) -> Result<(), String> {
        match self.nodes.at(path) {
            None => self.new_node(FILES, path, [])?,
            Some((FILES, file))
                if file.record("contents").is_none_or(|contents| contents.text("source").is_empty()) => {}
            Some(_) => return Err(Fault::NodeExists(path.to_owned()).to_string()),
        }
        let from = self.source.0.clone();
        let Some((_, file)) = self.nodes.at(path) else { return Ok(()) };
        let mut resource = file.record("contents").cloned().unwrap_or_default();
        set_source(self.context, contents, &mut resource, &from);
        file.set("contents", Tree::new(Value::Record(resource), Some(&from)));
        if file.get("mode").is_none() {
            let usual = if executable { PROGRAM_MODE } else { FILE_MODE };
            file.set("mode", self.source.number(self.tree.number("file_mode").unwrap_or(usual)));
        }
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), String> {
        match self.nodes.at(path) {
            None => self.new_node(LINKS, path, [])?,
            Some((LINKS, link)) if link.text("target").is_empty() => {}
            Some(_) => return Err(Fault::NodeExists(path.to_owned()).to_string()),
        }
        let target =
            if self.context.edition.minor() < 3 { self.source.text(target) } else { self.source.given_text(target) };
        if let Some((_, link)) = self.nodes.at(path) {
            link.set("target", target);
        }
        Ok(())
    }

    fn new_node<const N: usize>(
        &mut self,
        list: usize,
        path: &str,
        fields: [(&'static str, Tree); N],
    ) -> Result<(), String> {
        if self.nodes.at(path).is_some() {
            return Err(Fault::NodeExists(path.to_owned()).to_string());
        }
        let mut node: Record = fields.into_iter().collect();
        node.set("path", self.source.text(path));
        for account in ["user", "group"] {
            if let Some(owner) = self.tree.record(account).filter(|owner| !owner.is_zero()) {
                node.set(account, Tree::new(Value::Record(owner.clone()), Some(&self.source.0)));
            }
        }
        let node = Tree::new(Value::Record(node), Some(&self.source.0));
        self.nodes.push(list, path, node, &self.source.0);
        Ok(())
    }
}
