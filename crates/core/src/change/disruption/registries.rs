//! Whether a change of `registries.conf` only adds mirrors and search entries.
//!
//! Source of the rule: the compatible API reloads the container runtime for additions, and takes pods away before
//! anything else, since what they run from may not be reachable afterwards. The file is that of containers-registries.conf(5),
//! version 2.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// How deep brackets may lie in each other, and how many dots a line may have. The file needs four and two; a parser that
/// follows a hostile one comes to the end of its stack.
const DEEPEST: usize = 8;

/// What the file says.
struct Registries {
    /// Where images without a registry are looked for, in order.
    search: Vec<Value>,
    /// The registries by prefix.
    registries: BTreeMap<String, Registry>,
    /// All other settings.
    settings: Table,
}

struct Registry {
    /// Mirrors, in order.
    mirrors: Vec<Value>,
    /// All other settings that are not what they are by default.
    settings: Table,
}

/// What the change does besides adding mirrors and search entries, in words; none if nothing.
///
/// Contents are none if there is something else than a file.
pub(super) fn more_than_additions(old: Option<&[u8]>, new: Option<&[u8]>) -> Option<String> {
    let read = |side: &str, contents: Option<&[u8]>| {
        let contents = contents.ok_or_else(|| "it is no file".to_owned());
        contents.and_then(read).map_err(|error| format!("the {side} file cannot be read: {error}"))
    };
    match (read("old", old), read("new", new)) {
        (Err(error), _) | (_, Err(error)) => Some(error),
        (Ok(old), Ok(new)) => beyond(&old, &new),
    }
}

fn beyond(old: &Registries, new: &Registries) -> Option<String> {
    if !is_within(&old.search, &new.search) {
        return Some("search entries are removed or in another order".to_owned());
    }
    if old.settings != new.settings {
        return Some("settings for all registries differ".to_owned());
    }
    let gone = old.registries.keys().find(|prefix| !new.registries.contains_key(*prefix));
    if let Some(prefix) = gone {
        return Some(format!("registry {prefix} is removed"));
    }
    new.registries.iter().find_map(|(prefix, registry)| match old.registries.get(prefix) {
        Some(before) => registry.beyond(before).map(|what| format!("registry {prefix}: {what}")),
        None => registry.beyond_mirrors().map(|what| format!("registry {prefix} is added with {what}")),
    })
}

impl Registry {
    fn beyond(&self, before: &Self) -> Option<&'static str> {
        match () {
            () if !is_within(&before.mirrors, &self.mirrors) => {
                Some("mirrors are removed, altered or in another order")
            }
            () if before.settings.get("blocked") != self.settings.get("blocked") => Some("blocked differs"),
            () if before.settings != self.settings => Some("its settings differ"),
            () => None,
        }
    }

    /// What a new registry says that is not about its mirrors.
    fn beyond_mirrors(&self) -> Option<String> {
        self.settings.keys().find(|key| *key != BY_DIGEST_ONLY).map(|key| format!("the setting {key}"))
    }
}

const BY_DIGEST_ONLY: &str = "mirror-by-digest-only";

/// Whether one list is another one with entries added to it.
fn is_within(old: &[Value], new: &[Value]) -> bool {
    let mut new = new.iter();
    old.iter().all(|entry| new.any(|other| other == entry))
}

fn read(contents: &[u8]) -> Result<Registries, String> {
    let text = std::str::from_utf8(contents).map_err(|_| "it is no text".to_owned())?;
    if is_too_deep(text) {
        return Err(format!("brackets lie more than {DEEPEST} deep, or a line has more dots outside of strings"));
    }
    let mut settings: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let search = list(&mut settings, "unqualified-search-registries")?;
    let mut registries = BTreeMap::new();
    for registry in list(&mut settings, "registry")? {
        let Value::Table(mut settings) = registry else { return Err("registry is no list of tables".to_owned()) };
        let prefix = prefix(&mut settings)?;
        let mirrors = list(&mut settings, "mirror")?;
        for by_default in ["blocked", "insecure", BY_DIGEST_ONLY] {
            if settings.get(by_default) == Some(&Value::Boolean(false)) {
                settings.remove(by_default);
            }
        }
        if registries.insert(prefix.clone(), Registry { mirrors, settings }).is_some() {
            return Err(format!("registry {prefix} is named twice"));
        }
    }
    Ok(Registries { search, registries, settings })
}

/// What a registry is for: its prefix, else its location. A location that says the same as the prefix is left out.
fn prefix(settings: &mut Table) -> Result<String, String> {
    let prefix = match settings.remove("prefix") {
        None => None,
        Some(Value::String(prefix)) => Some(prefix).filter(|prefix| !prefix.is_empty()),
        Some(_) => return Err("a prefix is no text".to_owned()),
    };
    let location = settings.get("location").and_then(Value::as_str).map(str::to_owned);
    let prefix = prefix.or_else(|| location.clone()).ok_or("a registry has neither prefix nor location")?;
    if location.as_ref() == Some(&prefix) {
        settings.remove("location");
    }
    Ok(prefix)
}

fn list(settings: &mut Table, key: &str) -> Result<Vec<Value>, String> {
    match settings.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(format!("{key} is no list")),
    }
}

/// Whether brackets lie in each other, or a line has dots, beyond [`DEEPEST`], up to where the text stops being TOML.
fn is_too_deep(mut text: &str) -> bool {
    let (mut depth, mut dots) = (0_usize, 0_usize);
    while let Some(first) = text.chars().next() {
        text = match first {
            '#' => text.find('\n').map_or("", |end| &text[end..]),
            '"' | '\'' => after_string(text, first),
            _ => &text[first.len_utf8()..],
        };
        match first {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '.' => dots += 1,
            '\n' => dots = 0,
            _ => {}
        }
        if depth > DEEPEST || dots > DEEPEST {
            return true;
        }
    }
    false
}

/// What follows the string that the text begins with.
fn after_string(text: &str, quote: char) -> &str {
    let triple = quote.to_string().repeat(3);
    let is_long = text.starts_with(&triple);
    let body = &text[if is_long { 3 } else { 1 }..];
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        let rest = &body[at..];
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            _ if is_long && rest.starts_with(&triple) => {
                // Up to two quotes may stand before the three that end it.
                let quotes = rest.chars().take(5).take_while(|c| *c == quote).count();
                return &rest[quotes..];
            }
            _ if c == quote && !is_long => return &rest[1..],
            // A short string that does not end on its line is an error, where the parser stops.
            '\n' if !is_long => return rest,
            _ => {}
        }
    }
    ""
}
