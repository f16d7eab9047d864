//! What a build leaves in /var, told in the words of tmpfiles.d(5), so that every node gets it.
//!
//! Source of the rule: an ostree system fills /var from an image once, when a machine is installed; later images change
//! nothing there. systemd-tmpfiles makes at every boot what is missing.

use camino::{Utf8Path, Utf8PathBuf};

use super::accounts::{Accounts, quote};

/// Where the declaration lies.
pub const TMPFILES: &str = "/usr/lib/tmpfiles.d/onlay.conf";
/// Below this lie the files that nodes copy, each at its full path.
const COPIES: &str = "/usr/lib/onlay";
/// Bytes that files in /var may have together: they lie twice in an image, and nodes copy them once for good.
pub const MOST: u64 = 1 << 20;

/// Places whose contents no node asks for: what package managers and their scripts note, and the home of root, where
/// commands keep what they like.
const PASSED_OVER: [&str; 20] = [
    "/var/backups",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/cache/dnf",
    "/var/cache/ldconfig",
    "/var/cache/libdnf5",
    "/var/cache/yum",
    "/var/lib/alternatives",
    "/var/lib/apt",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/pam",
    "/var/lib/rpm",
    "/var/lib/rpm-state",
    "/var/lib/systemd/catalog",
    "/var/lib/ucf",
    "/var/lib/yum",
    "/var/log/apt",
    "/var/roothome",
    "/var/tmp",
];
/// What begins the names of directories where Debian's helper for units keeps notes.
const HELPER: &str = "/var/lib/systemd/deb-systemd-";

/// Something in /var that the base image does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its path.
    pub path: Utf8PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Number of the owning user.
    pub user: u32,
    /// Number of the owning group.
    pub group: u32,
    /// What it is.
    pub what: Kind,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link, with its text.
    Link(String),
    /// A regular file, with its size.
    File(u64),
    /// A device, a pipe or a socket.
    Other,
}

/// What becomes of the things in /var.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    /// Lines of tmpfiles.d(5).
    pub lines: Vec<String>,
    /// Links and files that the lines stand for, and that go away from /var; files have a copy at [`copy_of`].
    pub moved: Vec<Utf8PathBuf>,
    /// What nodes cannot get.
    pub lost: Vec<Lost>,
}

/// Something in /var that nodes cannot get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Files that are too large together; the path is the largest one's.
    TooLarge {
        /// The path.
        path: Utf8PathBuf,
        /// Bytes of all files.
        bytes: u64,
    },
    /// A device, a pipe or a socket.
    Special(Utf8PathBuf),
}

/// Whether no node asks for a path of /var.
pub fn is_passed_over(path: &Utf8Path) -> bool {
    PASSED_OVER.iter().any(|place| path.starts_with(place)) || path.as_str().starts_with(HELPER)
}

/// Where the copy of a file lies that nodes get.
pub fn copy_of(path: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{COPIES}{path}"))
}

/// Tells what lies in /var and the image's files of tmpfiles.d(5) do not tell; `left` is in the order of paths.
pub fn declare(left: &[Left], accounts: &Accounts, tmpfiles: &[String]) -> Declaration {
    let told: Vec<&str> = tmpfiles.iter().flat_map(|text| text.lines()).filter_map(path_of).collect();
    let mut declaration = Declaration::default();
    let new = left.iter().filter(|each| !is_passed_over(&each.path) && !told.contains(&each.path.as_str()));
    let new: Vec<&Left> = new.collect();
    let sizes = new.iter().filter_map(|each| match each.what {
        Kind::File(bytes) => Some((bytes, &each.path)),
        _ => None,
    });
    let bytes: u64 = sizes.clone().map(|(bytes, _)| bytes).sum();
    if bytes > MOST
        && let Some((_, path)) = sizes.max()
    {
        declaration.lost.push(Lost::TooLarge { path: path.clone(), bytes });
    }
    for each in new {
        declaration.add(each, accounts);
    }
    declaration
}

impl Declaration {
    fn add(&mut self, left: &Left, accounts: &Accounts) {
        let path = quote(left.path.as_str());
        let (user, group) = (accounts.user_name(left.user), accounts.group_name(left.group));
        match &left.what {
            Kind::Directory => self.lines.push(format!("d {path} {:04o} {user} {group} -", left.mode)),
            Kind::Link(target) => {
                self.lines.push(format!("L {path} - - - - {}", argument(target)));
                self.moved.push(left.path.clone());
            }
            Kind::File(_) => {
                let copy = copy_of(&left.path);
                self.lines.push(format!("C {path} {:04o} {user} {group} - {}", left.mode, argument(copy.as_str())));
                self.moved.push(left.path.clone());
            }
            Kind::Other => self.lost.push(Lost::Special(left.path.clone())),
        }
    }
}

/// The rest of a line, which is taken as it stands but for specifiers and escapes.
fn argument(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "%%").replace('\n', "\\n")
}

/// The path of a line of tmpfiles.d(5) that makes something there.
fn path_of(line: &str) -> Option<&str> {
    let (kind, rest) = line.trim_start().split_once(char::is_whitespace)?;
    let makes = kind.chars().next().is_some_and(|kind| "dDvqQCLfFpbc".contains(kind));
    let rest = rest.trim_start();
    let path = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split_whitespace().next()?,
    };
    makes.then(|| path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
