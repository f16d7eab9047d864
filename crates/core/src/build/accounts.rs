//! The accounts that a build adds to an image, told in the words of sysusers.d(5).
//!
//! Source of the rule: /etc of a node is merged by file. A node whose /etc/passwd was ever changed keeps its own, and
//! would never get the accounts of a new image; systemd-sysusers adds them at boot, to whatever is there.

use std::collections::{BTreeMap, BTreeSet};

/// Where the declaration lies. It is read before those of packages: an account that a package declares without a number
/// gets the one that its files have in the image.
pub const SYSUSERS: &str = "/usr/lib/sysusers.d/00-onlay.conf";

/// Bytes of a name at most, as systemd takes them.
const LONGEST: usize = 31;
/// Numbers that mean "none" to the kernel.
const NO_NUMBERS: [u32; 2] = [0xFFFF, u32::MAX];

/// The accounts of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    number: u32,
    group: u32,
    comment: String,
    home: String,
    shell: String,
}

/// A line of group(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    number: u32,
    members: BTreeSet<String>,
}

/// What an image has and no declaration tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undeclared {
    /// Lines of sysusers.d(5).
    pub lines: Vec<String>,
    /// Accounts that cannot be told in such a line, and why.
    pub untold: Vec<Untold>,
}

/// An account that no line of sysusers.d(5) can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// `user` or `group`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl Accounts {
    /// Adds the lines of passwd(5) and group(5) texts; the first line of a name counts, and broken lines do not.
    pub fn add(&mut self, passwd: &str, group: &str) {
        for line in passwd.lines() {
            if let [name, _, number, group, comment, home, shell] = line.split(':').collect::<Vec<_>>()[..]
                && let (Ok(number), Ok(group)) = (number.parse(), group.parse())
            {
                let [comment, home, shell] = [comment, home, shell].map(str::to_owned);
                let user = User { number, group, comment, home, shell };
                self.users.entry(name.to_owned()).or_insert(user);
            }
        }
        for line in group.lines() {
            if let [name, _, number, members] = line.split(':').collect::<Vec<_>>()[..]
                && let Ok(number) = number.parse()
            {
                let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
                self.groups.entry(name.to_owned()).or_insert(Group { number, members });
            }
        }
    }

    /// The name of the user with a number, else the number.
    pub fn user_name(&self, number: u32) -> String {
        let found = self.users.iter().find(|(_, user)| user.number == number);
        found.map_or_else(|| number.to_string(), |(name, _)| name.clone())
    }

    /// The name of the group with a number, else the number.
    pub fn group_name(&self, number: u32) -> String {
        let found = self.groups.iter().find(|(_, group)| group.number == number);
        found.map_or_else(|| number.to_string(), |(name, _)| name.clone())
    }

    fn is_member(&self, user: &str, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.members.contains(user))
    }
}

/// What a built image has beyond its base, and its files of sysusers.d(5) do not tell: groups, then users, then members.
pub fn undeclared(base: &Accounts, built: &Accounts, sysusers: &[String]) -> Undeclared {
    let told = Told::read(sysusers);
    let mut all = Undeclared::default();
    for (name, group) in built.groups.iter().filter(|(name, _)| !base.groups.contains_key(*name)) {
        if !told.groups.contains(&(name.clone(), group.number)) {
            all.take("group", name, fault_of_group(name, group), || format!("g {name} {}", group.number));
        }
    }
    for (name, user) in built.users.iter().filter(|(name, _)| !base.users.contains_key(*name)) {
        if !told.users.contains(&(name.clone(), user.number)) {
            all.take("user", name, fault_of_user(name, user, built), || line_of_user(name, user, built));
        }
    }
    let odd: BTreeSet<&String> = all.untold.iter().map(|untold| &untold.name).collect();
    let mut members = Vec::new();
    for (name, group) in built.groups.iter().filter(|(name, _)| !odd.contains(name)) {
        let new = group.members.iter().filter(|user| built.users.contains_key(*user) && !odd.contains(user));
        let new = new.filter(|user| !base.is_member(user, name));
        let new = new.filter(|user| !told.members.contains(&((*user).clone(), name.clone())));
        members.extend(new.map(|user| format!("m {user} {name}")));
    }
    all.lines.append(&mut members);
    all
}

impl Undeclared {
    fn take(&mut self, kind: &'static str, name: &str, fault: Option<String>, line: impl FnOnce() -> String) {
        match fault {
            Some(why) => self.untold.push(Untold { kind, name: name.to_owned(), why }),
            None => self.lines.push(line()),
        }
    }
}

/// What files of sysusers.d(5) tell; who has a number that is left open is not among it.
#[derive(Debug, Default)]
struct Told {
    users: BTreeSet<(String, u32)>,
    groups: BTreeSet<(String, u32)>,
    members: BTreeSet<(String, String)>,
}

impl Told {
    fn read(texts: &[String]) -> Self {
        let mut told = Self::default();
        for line in texts.iter().flat_map(|text| text.lines()) {
            let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
            match words[..] {
                ["u" | "u!", name, numbers, ..] => told.user_line(name, numbers),
                ["g", name, number, ..] => told.groups.extend(of(name, number)),
                ["m", user, group, ..] => {
                    told.members.insert((user.to_owned(), group.to_owned()));
                }
                _ => {}
            }
        }
        told
    }

    /// A user; without a group of its own choice a group of the same name and number comes with it.
    fn user_line(&mut self, name: &str, numbers: &str) {
        match numbers.split_once(':') {
            Some((own, _)) => self.users.extend(of(name, own)),
            None => {
                self.users.extend(of(name, numbers));
                self.groups.extend(of(name, numbers));
            }
        }
    }
}

/// A name with its number, if that is one.
fn of(name: &str, number: &str) -> Option<(String, u32)> {
    Some((name.to_owned(), number.parse().ok()?))
}

fn fault_of_group(name: &str, group: &Group) -> Option<String> {
    fault_of_name(name).or_else(|| fault_of_number(group.number))
}

fn fault_of_user(name: &str, user: &User, built: &Accounts) -> Option<String> {
    let own = fault_of_name(name).or_else(|| fault_of_number(user.number));
    let nameless = !built.groups.values().any(|group| group.number == user.group);
    let path = |what: &str, path: &str| {
        let fits = path.is_empty() || path.starts_with('/') && !path.split('/').any(|name| name == "..");
        (!fits).then(|| format!("its {what} {path:?} is no absolute path"))
    };
    own.or_else(|| nameless.then(|| format!("its group {} has no name", user.group)))
        .or_else(|| path("home", &user.home))
        .or_else(|| path("shell", &user.shell))
}

fn fault_of_name(name: &str) -> Option<String> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let fits = first && rest && name.len() <= LONGEST;
    (!fits).then(|| format!("its name is not made of at most {LONGEST} letters, digits, `_` and `-`"))
}

fn fault_of_number(number: u32) -> Option<String> {
    NO_NUMBERS.contains(&number).then(|| format!("the number {number} means none"))
}

fn line_of_user(name: &str, user: &User, built: &Accounts) -> String {
    let group = built.group_name(user.group);
    // Without a shell passwd(5) means this one, and systemd another.
    let shell = if user.shell.is_empty() { "/bin/sh" } else { &user.shell };
    let [comment, home, shell] = [user.comment.as_str(), user.home.as_str(), shell].map(quote);
    format!("u {name} {}:{group} {comment} {home} {shell}", user.number)
}

/// A word of sysusers.d(5) and tmpfiles.d(5), where `%` begins a specifier, and `-` stands for nothing.
pub(super) fn quote(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.+-:@,=".contains(c);
    if text != "-" && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
