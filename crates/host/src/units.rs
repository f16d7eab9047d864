//! systemd's unit files and presets, read as text: what enabling a unit means.
//!
//! Source of the rules: systemd.unit(5) "[INSTALL] SECTION OPTIONS", systemd.preset(5). Asking a running systemd would
//! answer for the booted image, while the question is about the one that boots next.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

/// The `[Install]` section of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Install {
    /// Units that get a link in their `.wants` directory.
    pub wanted_by: Vec<String>,
    /// Units that get a link in their `.requires` directory.
    pub required_by: Vec<String>,
    /// Units that get a link in their `.upholds` directory.
    pub upheld_by: Vec<String>,
    /// Other names of the unit.
    pub alias: Vec<String>,
    /// Units that are enabled and disabled with it.
    pub also: Vec<String>,
    /// Instance that a template is enabled as when none is named.
    pub default_instance: Option<String>,
}

impl Install {
    /// Reads the section from a unit file followed by its drop-ins, in order. Unknown keys belong to newer systemds and are ignored.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Install {
        let mut install = Install::default();
        for text in texts {
            let mut section = "";
            for line in logical_lines(text) {
                let line = line.trim();
                if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    section = if name == "Install" { "Install" } else { "" };
                } else if let (false, Some((key, value))) = (section.is_empty(), line.split_once('=')) {
                    install.set(key.trim(), value.trim());
                }
            }
        }
        install
    }

    fn set(&mut self, key: &str, value: &str) {
        let list = match key {
            "WantedBy" => &mut self.wanted_by,
            "RequiredBy" => &mut self.required_by,
            "UpheldBy" => &mut self.upheld_by,
            "Alias" => &mut self.alias,
            "Also" => &mut self.also,
            "DefaultInstance" => {
                self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                return;
            }
            _ => return,
        };
        if value.is_empty() {
            list.clear();
        }
        list.extend(value.split_whitespace().map(str::to_owned));
    }

    /// The links that enable `unit`, as names below `/etc/systemd/system`; none when it is not made to be enabled.
    ///
    /// A template without an instance is enabled as its default instance, and not at all when it has none.
    pub fn links(&self, unit: &str) -> BTreeSet<String> {
        let mut name = Name::parse(unit);
        if name.instance.is_some_and(str::is_empty) {
            let Some(instance) = &self.default_instance else { return BTreeSet::new() };
            name.instance = Some(instance);
        }
        let own = name.to_string();
        let mut links = BTreeSet::new();
        for (suffix, targets) in
            [("wants", &self.wanted_by), ("requires", &self.required_by), ("upholds", &self.upheld_by)]
        {
            let targets = targets.iter().map(|target| name.expand(target)).filter(|target| is_unit_name(target));
            links.extend(targets.map(|target| format!("{target}.{suffix}/{own}")));
        }
        let aliases = self.alias.iter().map(|alias| name.expand(alias));
        links.extend(aliases.filter(|alias| is_unit_name(alias) && *alias != own));
        links
    }
}

/// A unit's name in its parts: `getty@tty1.service` is the template `getty@.service` with the instance `tty1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    prefix: &'a str,
    instance: Option<&'a str>,
    suffix: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a unit's name apart.
    pub fn parse(name: &'a str) -> Name<'a> {
        let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
        match stem.split_once('@') {
            Some((prefix, instance)) => Name { prefix, instance: Some(instance), suffix },
            None => Name { prefix: stem, instance: None, suffix },
        }
    }

    /// The name of the template, when this is an instance of one.
    pub fn template(&self) -> Option<String> {
        let instance = self.instance.filter(|instance| !instance.is_empty());
        instance.map(|_| format!("{}@.{}", self.prefix, self.suffix))
    }

    /// Replaces the specifiers that [Install] may hold: `%n %N %p %i %j %%`.
    fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                expanded.push(character);
                continue;
            }
            match characters.next() {
                Some('n') => expanded.push_str(&self.to_string()),
                Some('N') => expanded.push_str(self.to_string().trim_end_matches(&format!(".{}", self.suffix))),
                Some('p') => expanded.push_str(self.prefix),
                Some('i') => expanded.push_str(self.instance.unwrap_or_default()),
                Some('j') => expanded.push_str(self.prefix.rsplit('-').next().unwrap_or_default()),
                Some('%') => expanded.push('%'),
                Some(other) => expanded.extend(['%', other]),
                None => expanded.push('%'),
            }
        }
        expanded
    }
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.instance {
            Some(instance) => write!(formatter, "{}@{instance}.{}", self.prefix, self.suffix),
            None => write!(formatter, "{}.{}", self.prefix, self.suffix),
        }
    }
}

/// Whether `name` can be the name of a unit file: characters of systemd.unit(5) and a suffix, and so no way out of a directory.
pub fn is_unit_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let suffix = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, suffix)| suffix);
    let known =
        ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    name.len() <= 255 && name.chars().all(allowed) && suffix.is_some_and(|suffix| known.contains(&suffix))
}

/// What the first matching line of preset files says about `unit`: enabled or disabled; `None` when no line matches.
///
/// `texts` are the files in the order in which systemd reads them.
pub fn preset<'a>(texts: impl IntoIterator<Item = &'a str>, unit: &str) -> Option<bool> {
    texts.into_iter().flat_map(logical_lines).find_map(|line| {
        let mut words = line.split_whitespace();
        let verdict = match words.next()? {
            "enable" => true,
            "disable" => false,
            _ => return None,
        };
        matches(words.next()?, unit).then_some(verdict)
    })
}

/// Shell patterns as systemd uses them for presets: `*`, `?` and sets in brackets.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let Some(first) = rest.next() else { return name.is_empty() };
    let mut letters = name.chars();
    match first {
        '*' => matches(rest.as_str(), name) || letters.next().is_some() && matches(pattern, letters.as_str()),
        '?' => letters.next().is_some() && matches(rest.as_str(), letters.as_str()),
        '[' => match (rest.as_str().split_once(']'), letters.next()) {
            (Some((set, rest)), Some(letter)) => in_set(set, letter) && matches(rest, letters.as_str()),
            _ => false,
        },
        letter => letters.next() == Some(letter) && matches(rest.as_str(), letters.as_str()),
    }
}

fn in_set(set: &str, letter: char) -> bool {
    let (set, negated) = set.strip_prefix(['!', '^']).map_or((set, false), |set| (set, true));
    let set: Vec<char> = set.chars().collect();
    let mut found = set.contains(&letter);
    found |= set.windows(3).any(|range| matches!(range, [low, '-', high] if (*low..=*high).contains(&letter)));
    found != negated
}

/// Lines with continuations joined and comments dropped.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut() {
            Some(last) if open => last.extend([" ", part]),
            _ => lines.push(part.to_owned()),
        }
        open = goes_on;
    }
    lines
}
