//! A rendered configuration as a tree: what a node gets, and which MachineConfig says so.

use std::collections::BTreeMap;

use onlay_core::render::Rendered;
use onlay_core::render::desired::{Desired, DesiredUnit, Owner};
use onlay_core::render::origin::{Origin, Origins};

/// Longest path that the column of origins moves to the right for, in characters.
const MAX_COLUMN: usize = 72;

/// A line of the tree.
struct Line {
    /// What the node gets, with the branches before it.
    what: String,
    /// Which MachineConfigs say so.
    from: String,
}

/// Entries of a directory, by name.
#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    /// What is itself at this path, and who says so.
    entry: Option<(String, String)>,
}

/// The tree, from the name of the configuration on.
pub fn text(rendered: &Rendered, desired: &Desired) -> String {
    let origins = &rendered.origins();
    let mut groups: Vec<(&str, Vec<Line>)> = Vec::new();
    let mut root = Folder::default();
    for (path, what, from) in places(desired, origins) {
        root.put(&path, what, from);
    }
    groups.push(("/", root.lines("")));
    groups.push(("units", leaves(desired.units.iter().map(|unit| of_unit(unit, origins)))));
    groups.push(("kernel arguments", leaves(origins.kernel_arguments.iter().cloned())));
    let extension = |(name, from): (&String, &Vec<String>)| (name.clone(), from.join(", "));
    groups.push(("extensions", leaves(origins.extensions.iter().map(extension))));
    groups.push(("settings", leaves(settings(rendered, desired))));
    groups.retain(|(_, lines)| !lines.is_empty());
    let width = |line: &Line| line.what.chars().count();
    let column = groups.iter().flat_map(|(_, lines)| lines).map(width).filter(|width| *width <= MAX_COLUMN).max();
    let mut text = format!("{}\n", rendered.name);
    for (group, lines) in groups {
        text.push_str(&format!("\n{group}\n"));
        for line in lines {
            let padding = " ".repeat(column.unwrap_or_default().saturating_sub(width(&line)));
            text.push_str(format!("{}{padding}  {}", line.what, line.from).trim_end());
            text.push('\n');
        }
    }
    text
}

fn leaves(entries: impl Iterator<Item = (String, String)>) -> Vec<Line> {
    let entries: Vec<_> = entries.collect();
    let last = entries.len().saturating_sub(1);
    let branch = |index| if index == last { "└── " } else { "├── " };
    let line = |(index, (what, from))| Line { what: format!("{}{what}", branch(index)), from };
    entries.into_iter().enumerate().map(line).collect()
}

/// Files, directories and links: path, words, and who says so.
fn places(desired: &Desired, origins: &Origins) -> Vec<(String, String, String)> {
    let owner = |user: &Owner, group: &Owner| match (named(user), named(group)) {
        (user, group) if user == "root" && group == "root" => String::new(),
        (user, group) => format!(" {user}:{group}"),
    };
    let from = |path: &str, main: &str| origins.places.get(path).map(|origin| says(origin, main)).unwrap_or_default();
    let mut places = Vec::new();
    for file in &desired.files {
        let words = format!("{:04o}{} {}", file.mode, owner(&file.user, &file.group), size(file.contents.len()));
        places.push((file.path.clone(), words, from(&file.path, "contents")));
    }
    for each in &desired.directories {
        let words = format!("{:04o}{} directory", each.mode, owner(&each.user, &each.group));
        places.push((each.path.clone(), words, from(&each.path, "mode")));
    }
    for link in &desired.links {
        let words = format!("-> {}{}", link.target, owner(&link.user, &link.group));
        places.push((link.path.clone(), words, from(&link.path, "target")));
    }
    places
}

fn named(owner: &Owner) -> String {
    match owner {
        Owner::Id(0) => "root".to_owned(),
        Owner::Id(id) => id.to_string(),
        Owner::Name(name) => name.clone(),
    }
}

fn size(bytes: usize) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

/// Everybody who has a part in a thing; where somebody is overridden, by which field.
fn says(origin: &Origin, main: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let fields = origin.fields.keys().map(String::as_str);
    let ordered =
        std::iter::once(main).filter(|main| origin.fields.contains_key(*main)).chain(fields.filter(|f| *f != main));
    let several = origin.machine_configs.iter().collect::<std::collections::BTreeSet<_>>().len() > 1;
    for field in ordered {
        let Some(name) = origin.of(field) else { continue };
        let overridden = origin.overridden(field);
        let before = match (field, overridden) {
            (_, []) => String::new(),
            ("append", names) => format!(" after {}", names.join(", ")),
            (_, names) => format!(" over {}", names.join(", ")),
        };
        if several {
            parts.push(format!("{field}: {name}{before}"));
        } else if parts.is_empty() {
            parts.push(name.to_owned());
        }
    }
    if parts.is_empty() {
        parts.push(origin.machine_configs.join(", "));
    }
    if !origin.replaced.is_empty() {
        parts.push(format!("in the place of what {} puts there", origin.replaced.join(", ")));
    }
    parts.join("; ")
}

fn of_unit(unit: &DesiredUnit, origins: &Origins) -> (String, String) {
    let mut words = vec![unit.name.clone()];
    words.extend(unit.enabled.map(|enabled| if enabled { "enabled" } else { "disabled" }.to_owned()));
    words.extend(unit.masked.map(|masked| if masked { "masked" } else { "unmasked" }.to_owned()));
    words.extend(unit.contents.as_ref().map(|contents| size(contents.len())));
    words.extend(unit.dropins.iter().map(|dropin| format!("+{}", dropin.name)));
    let from = origins.units.get(&unit.name).map(|origin| says(origin, "contents"));
    (words.join(" "), from.unwrap_or_default())
}

/// What is no file, unit or argument, where it is not the default.
fn settings(rendered: &Rendered, desired: &Desired) -> impl Iterator<Item = (String, String)> {
    let spec = &rendered.spec;
    let kernel = spec.kernel_type.as_ref().filter(|kernel| !matches!(kernel.as_str(), "" | "default"));
    let text = |name: &str, value: Option<&String>| value.map(|value| (format!("{name} {value}"), String::new()));
    let keys = desired.ssh_authorized_keys.len();
    let keys = (keys > 0).then(|| (format!("SSH keys of core: {keys}"), String::new()));
    let fips = (spec.fips == Some(true)).then(|| ("fips".to_owned(), String::new()));
    let image = text("image", spec.os_image_url.as_ref());
    let extensions = text("image of extensions", spec.base_os_extensions_container_image.as_ref());
    [text("kernel", kernel), image, extensions, fips, keys].into_iter().flatten()
}

impl Folder {
    fn put(&mut self, path: &str, what: String, from: String) {
        let mut folder = self;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = folder.folders.entry(name.to_owned()).or_default();
        }
        folder.entry = Some((what, from));
    }

    fn lines(&self, before: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for (index, (name, folder)) in self.folders.iter().enumerate() {
            let is_last = index + 1 == self.folders.len();
            let (name, folder) = folder.only_child(name.clone());
            let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            let (what, from) = folder.entry.clone().unwrap_or_default();
            let slash = if folder.folders.is_empty() { "" } else { "/" };
            let what = format!("{before}{branch}{name}{slash} {what}").trim_end().to_owned();
            lines.push(Line { what, from });
            lines.extend(folder.lines(&format!("{before}{below}")));
        }
        lines
    }

    /// A folder that holds only one folder takes one line with it.
    fn only_child(&self, name: String) -> (String, &Self) {
        match self.folders.iter().next() {
            Some((child, folder)) if self.entry.is_none() && self.folders.len() == 1 && !folder.folders.is_empty() => {
                folder.only_child(format!("{name}/{child}"))
            }
            _ => (name, self),
        }
    }
}
