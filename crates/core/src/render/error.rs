//! What can be wrong with a configuration, in words that name the field, the value and the way out.

use super::extension;

/// Lists of entries with a name: the list's last word, what an entry is called, and the field that has its name.
const ENTRIES: [(&str, &str, &str); 6] = [
    ("files", "file", "path"),
    ("directories", "directory", "path"),
    ("links", "link", "path"),
    ("units", "unit", "name"),
    ("dropins", "drop-in", "name"),
    ("users", "user", "name"),
];

/// Why MachineConfigs do not become a rendered configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// One MachineConfig is wrong by itself.
    #[error("failed to read MachineConfig {machine_config}: {problem}")]
    Invalid {
        /// Name of the MachineConfig to correct.
        machine_config: String,
        /// Its first problem.
        problem: Problem,
    },
    /// MachineConfigs that are fine one by one contradict each other.
    #[error("failed to merge MachineConfigs {}: {problem}", machine_configs.join(", "))]
    Conflict {
        /// Names of the MachineConfigs that contribute to the contradiction, in merge order.
        machine_configs: Vec<String>,
        /// The first contradiction.
        problem: Problem,
    },
    /// A rendered configuration cannot be turned into files and units.
    #[error("failed to read the rendered configuration: {problem}")]
    Rendered {
        /// The first problem.
        problem: Problem,
    },
    /// All MachineConfigs together are more than an object of the API can hold.
    #[error(
        "failed to render a configuration that can be stored: it has {bytes} bytes, the cluster's store takes {limit}; \
         the largest parts: {}; {TOO_LARGE}",
        of_each(contributors)
    )]
    TooLarge {
        /// Bytes of the rendered object.
        bytes: usize,
        /// Most bytes that it may have.
        limit: usize,
        /// The MachineConfigs that add most, and how many bytes each, largest first.
        contributors: Vec<(String, usize)>,
    },
    /// The names of all MachineConfigs are more than the annotations of an object can hold.
    #[error(
        "failed to render a configuration that can be stored: the names of its {number} MachineConfigs have {bytes} \
         bytes, its annotations may have {limit}; {TOO_MANY}"
    )]
    TooMany {
        /// How many MachineConfigs there are.
        number: usize,
        /// Bytes of the list of their names.
        bytes: usize,
        /// Most bytes that it may have.
        limit: usize,
    },
}

/// The way out of [`RenderError::TooMany`].
pub const TOO_MANY: &str = "put what belongs together into one MachineConfig, or give them shorter names";
/// The way out of [`RenderError::TooLarge`].
pub const TOO_LARGE: &str =
    "put large contents into the image with a Containerfile, or pack them with `compression: gzip`";

fn of_each(contributors: &[(String, usize)]) -> String {
    let each = contributors.iter().map(|(name, bytes)| format!("MachineConfig {name} ({bytes} bytes)"));
    each.collect::<Vec<_>>().join(", ")
}

impl RenderError {
    /// Names of the MachineConfigs that the error is about; empty for a rendered configuration.
    pub fn machine_configs(&self) -> Vec<&str> {
        match self {
            Self::Invalid { machine_config, .. } => vec![machine_config],
            Self::Conflict { machine_configs, .. } => machine_configs.iter().map(String::as_str).collect(),
            Self::Rendered { .. } | Self::TooMany { .. } => Vec::new(),
            Self::TooLarge { contributors, .. } => contributors.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// The field and what is wrong with it, if it is one field.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Invalid { problem, .. } | Self::Conflict { problem, .. } | Self::Rendered { problem } => {
                Some(problem)
            }
            Self::TooLarge { .. } | Self::TooMany { .. } => None,
        }
    }
}

/// A field and what is wrong with it.
///
/// Fields of the Ignition configuration are named from its root (`storage.files[2].mode`), all others from the
/// object (`spec.kernelArguments[0]`). List entries of one MachineConfig are named by index, those of a merged
/// configuration by key. Where an index alone would have to be counted out, the entry is named before the field:
/// `unit a.service: systemd.units[2].contents: ...`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{field}: {fault}", .entry.as_ref().map(|entry| format!("{entry}: ")).unwrap_or_default())]
pub struct Problem {
    /// The entry that the field belongs to, as `drop-in 10-a.conf of unit a.service`; none where field or fault name it.
    pub entry: Option<String>,
    /// Path of the field.
    pub field: String,
    /// What is wrong.
    pub fault: Box<Fault>,
}

/// What is wrong with a field. The text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The configuration has no `ignition.version`.
    #[error("missing; write the version of the Ignition specification, such as 3.5.0")]
    VersionMissing,
    /// Ignition 2 or older.
    #[error(
        "Ignition {0} is not supported; rewrite the configuration for specification 3.5.0 (files lose \
         `filesystem: root`, `append: true` becomes a list of contents) or generate it with Butane"
    )]
    VersionTooOld(String),
    /// Newer than what is understood.
    #[error("Ignition {0} is newer than 3.5.0; write 3.5.0 and leave out fields that only newer versions have")]
    VersionTooNew(String),
    /// No version that was ever released.
    #[error("{0:?} is no released version of the specification; write one of 3.0.0, 3.1.0, 3.2.0, 3.3.0, 3.4.0, 3.5.0")]
    VersionUnknown(String),
    /// A rule of the specification that is about more than what reaches a node.
    #[error("{0}")]
    Specification(String),
    /// A value of another JSON type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What the field takes.
        expected: String,
        /// Beginning of the value.
        found: String,
    },
    /// A field whose effect a running node cannot have.
    #[error("cannot be applied to a running node; {0}")]
    Refused(&'static str),
    /// A required field is absent or empty.
    #[error("missing; every entry needs one")]
    Missing,
    /// A path that does not start at the root.
    #[error("{0:?} is not absolute; start it with \"/\"")]
    PathRelative(String),
    /// A path that can be written shorter.
    #[error("{path:?} is not normalised; write {clean:?}")]
    PathUnclean {
        /// The path as given.
        path: String,
        /// The same place, normalised.
        clean: String,
    },
    /// A path that no file system takes.
    #[error("{0:?} cannot be the path of a file: at most 4095 bytes, 255 between slashes, and no NUL")]
    PathImpossible(String),
    /// Two entries with one key.
    #[error("{key:?} is named by {first} already; keep one of them")]
    Duplicate {
        /// The key of both.
        key: String,
        /// Field path of the earlier entry.
        first: String,
    },
    /// A path below something that is not a directory.
    #[error("{path} lies below {above}, which is a {kind} ({field}); remove one of them or make {above} a directory")]
    Below {
        /// The lower path.
        path: String,
        /// The upper path.
        above: String,
        /// What the upper path is.
        kind: &'static str,
        /// Field path of the upper one.
        field: String,
    },
    /// A mode outside of the permission bits.
    #[error("{0} is outside of 0 to 4095 (octal 07777); write a decimal number, 420 is octal 0644")]
    Mode(i64),
    /// A numeric id that no system has.
    #[error("{0} is no user or group id; write a number from 0 to 4294967294")]
    Id(i64),
    /// A name that user databases do not take.
    #[error("{0:?} is no name of a user or group; write it without spaces, colons and slashes")]
    AccountName(String),
    /// Id and name at once.
    #[error("has an id and a name; keep one of them")]
    IdAndName,
    /// Contents that would have to be fetched.
    #[error("{0} sources are not fetched by nodes; put the contents here as a data URL (data:;base64,…)")]
    SourceScheme(String),
    /// A source that is no URL that can be read.
    #[error("is no data URL: {0}")]
    DataUrl(String),
    /// The hash text is malformed.
    #[error("{0:?} is no hash; write sha512-<128 hexadecimal digits> or sha256-<64 hexadecimal digits>")]
    Hash(String),
    /// The contents do not have this hash.
    #[error("does not match: the (unpacked) contents have {0}")]
    HashMismatch(String),
    /// An unknown compression.
    #[error("{0:?} is no compression; write gzip, or leave it out for plain contents")]
    Compression(String),
    /// Contents that do not unpack.
    #[error("does not unpack as gzip: {0}; leave out `compression` if the contents are plain")]
    Gzip(String),
    /// Too much to hold.
    #[error("has more than {limit} bytes unpacked; put large files into the image with a Containerfile")]
    TooLarge {
        /// Largest size in bytes.
        limit: usize,
    },
    /// A field that makes sense with contents only.
    #[error("needs `contents.source` in the same file; give the whole contents there")]
    NeedsContents,
    /// A unit name that systemd does not take.
    #[error(
        "{0:?} is no unit name; write letters, digits and \":-_.\\@\", ending in .service, .socket, .device, .mount, \
         .automount, .swap, .target, .path, .timer, .slice or .scope"
    )]
    UnitName(String),
    /// A drop-in name that systemd does not read.
    #[error("{0:?} is no drop-in name; write a file name that ends in .conf")]
    DropInName(String),
    /// A unit or drop-in that systemd would not read as written.
    #[error("line {line}: {what}")]
    UnitSyntax {
        /// Line of the contents, from 1.
        line: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A user other than the one that is managed.
    #[error("{0:?} is not managed on a running node; only the user core is, create others in the image")]
    User(String),
    /// A key that would not stay one line of authorized_keys.
    #[error("is no SSH public key; write one key on one line")]
    SshKey,
    /// A kernel argument that does not survive the boot loader.
    #[error("{value:?} {what}")]
    KernelArgument {
        /// The entry.
        value: String,
        /// What is wrong.
        what: &'static str,
    },
    /// An unknown kernel.
    #[error("{0:?} is no kernel type; write default, realtime or 64k-pages")]
    KernelType(String),
    /// An extension that nobody knows.
    #[error(
        "{0:?} is no known extension; known are {known}; install other packages with a Containerfile in a MachineOSConfig",
        known = extension::KNOWN.join(", ")
    )]
    Extension(String),
    /// An extension that belongs to the default kernel, and another kernel.
    #[error("is {0:?}, and the extension kernel-devel is made for the default kernel alone; leave one of them out")]
    KernelDevel(String),
    /// An image that cannot be pulled by this text.
    #[error("{image:?} is no name of an image: {reason}; write REPOSITORY@sha256:DIGEST or REPOSITORY:TAG")]
    Image {
        /// The text.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Fault {
    /// The problem of having this fault at `field`.
    pub(crate) fn at(self, field: impl Into<String>) -> Problem {
        Problem { entry: None, field: field.into(), fault: Box::new(self) }
    }
}

impl Problem {
    /// The problem, with the name of the entry of `list` in which it is; a fault of that name itself already quotes it.
    pub(crate) fn in_entry(self, list: &str, key: &str) -> Self {
        let last = list.rsplit('.').next().unwrap_or(list);
        let Some(&(_, kind, key_field)) = ENTRIES.iter().find(|(plural, ..)| *plural == last) else { return self };
        let inner = self.field.strip_prefix(list).and_then(|rest| rest.split_once("].")).map(|(_, field)| field);
        if key.is_empty() || inner == Some(key_field) {
            return self;
        }
        let own = format!("{kind} {}", excerpt(key));
        let entry = self.entry.map_or_else(|| own.clone(), |inner| format!("{inner} of {own}"));
        Self { entry: Some(entry), ..self }
    }
}

/// The beginning of a value, short enough for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
