//! What can be wrong with a value of an Ignition configuration, and what to write instead.

/// A broken rule of the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum Fault {
    #[error("missing; write an absolute path")]
    PathMissing,
    #[error("{0:?} is not absolute; start it with \"/\"")]
    PathRelative(String),
    #[error("{path:?} is not normalised; write {clean:?}")]
    PathUnclean { path: String, clean: String },
    #[error("{0} is outside of 0 to 07777; write octal permission bits such as 0644")]
    Mode(i64),
    #[error("setuid, setgid and sticky bits are ignored before specification 3.6; leave them out")]
    SpecialMode,
    #[error("has an id and a name; keep one of them")]
    IdAndName,
    #[error("is true without contents to write; give the contents or leave `overwrite` out")]
    OverwriteNothing,
    #[error("{0:?} is named already; keep one of the entries")]
    Duplicate(String),
    #[error("{0:?} is the path of a unit or drop-in with contents; remove one of them")]
    UnitPath(String),
    #[error("lies below {0:?}, which is a link; name the place that the link leads to")]
    BelowLink(String),
    #[error("missing; write where the link leads")]
    TargetMissing,
    #[error("a hard link cannot lead to a directory; leave out `hard`")]
    HardToDirectory,
    #[error("a hard link has the owner of its target; leave this out")]
    HardOwner,
    #[error("missing; write the path of the device")]
    DeviceMissing,
    #[error("number {0} is given to two partitions; number them apart")]
    NumbersCollide(i64),
    #[error("label {0:?} is given to two partitions; name them apart")]
    LabelsCollide(String),
    #[error("overlaps another partition; change `start_mib` or `size_mib`")]
    Overlap,
    #[error("a partition that should not exist takes a number only; leave the other fields out")]
    GoneWithOthers,
    #[error("has neither a number nor a label; write one of them")]
    NumberOrLabel,
    #[error("has {0} characters of at most 36; shorten it")]
    PartitionLabelLong(usize),
    #[error("has a colon, which partition labels cannot have; write it without")]
    PartitionLabelColon,
    #[error("{0:?} is no GUID; write XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX in hexadecimal digits")]
    Guid(String),
    #[error("missing beside other fields; write ext4, btrfs, xfs, swap, vfat or none")]
    FormatMissing,
    #[error("{0:?} is no filesystem of this specification; write {1}")]
    Format(String, &'static str),
    #[error("needs `format` beside it")]
    LabelNeedsFormat,
    #[error("has {length} characters; {format} takes at most {longest}")]
    LabelLong { format: String, length: usize, longest: usize },
    #[error("the partitions of this disk are overwritten by a filesystem on the whole disk; name a partition")]
    PartitionsOverwritten,
    #[error("the disk is wiped and so is this filesystem; write `wipe_filesystem: true` to say that it is meant")]
    ImplicitWipe,
    #[error("has a slash; write a name, not a path")]
    LuksName,
    #[error("is no key file: {0}")]
    KeyFile(Box<Fault>),
    #[error("a custom pin stands alone; leave out tang, tpm2 and threshold, or the pin")]
    CustomWithOthers,
    #[error("CEX and clevis exclude each other; keep one of them")]
    CexWithClevis,
    #[error("CEX and a key file exclude each other; keep one of them")]
    CexWithKeyFile,
    #[error("missing; write the name of the pin")]
    PinMissing,
    #[error("{0:?} is no pin of this specification; write tpm2, tang or sss")]
    Pin(String),
    #[error("missing; write the configuration of the pin as JSON")]
    PinConfigMissing,
    #[error("missing; write the thumbprint that `tang-show-keys` prints")]
    ThumbprintMissing,
    #[error("is no JSON; write the advertisement as the server gives it")]
    Advertisement,
    #[error("missing; write raid0, raid1, raid4, raid5, raid6, raid10 or linear")]
    LevelMissing,
    #[error("{0:?} is no RAID level; write raid0, raid1, raid4, raid5, raid6, raid10 or linear")]
    Level(String),
    #[error("level {0} has no spares; leave `spares` out")]
    Spares(String),
    #[error("missing; write at least one device")]
    RaidDevices,
    #[error("{0:?} is no compression; write gzip or leave it out")]
    Compression(String),
    #[error("needs a source of the contents beside it")]
    HashWithoutSource,
    #[error("{0:?} is no hash; write {1}")]
    Hash(String, &'static str),
    #[error("has {found} digits; {function} has {expected}")]
    HashLength { function: &'static str, found: usize, expected: usize },
    #[error("missing; write a URL")]
    SourceMissing,
    #[error("{0:?} is no URL that can be read; check its escapes, port and first colon")]
    Url(String),
    #[error("{0:?} is no scheme of this specification; write {1}")]
    Scheme(String, &'static str),
    #[error("`versionId` is empty; write the version or leave it out")]
    S3Version,
    #[error("is no ARN of an S3 object; write arn:aws:s3:::BUCKET/KEY or the ARN of an access point and key")]
    S3Arn,
    #[error("is no data URL: {0}")]
    DataUrl(String),
    #[error("go with http and https sources only; leave them out")]
    HeadersNeedHttp,
    #[error("missing; write the name of the header")]
    HeaderName,
    #[error("is empty; write the value of the header, or leave the field out to remove an inherited header")]
    HeaderValue,
    #[error("{0:?} is no proxy; write a URL with http or https")]
    Proxy(String),
    #[error("reaches an https site through plain http; write a proxy with https")]
    InsecureProxy,
    #[error(
        "{0:?} is no unit name; end it in .service, .socket, .device, .mount, .automount, .swap, .target, .path, .timer, .snapshot, .slice or .scope"
    )]
    UnitName(String),
    #[error("{0:?} is no drop-in name; end it in .conf")]
    DropInName(String),
    #[error("Ignition cannot read this unit: {0}")]
    UnitSyntax(&'static str),
    #[error(
        "{0} is enabled but has no [Install] section with an option, so that enabling it does nothing; add WantedBy="
    )]
    NoInstall(String),
    #[error(
        "{instance} is enabled but {template} has no [Install] section with an option; add WantedBy= to {template}"
    )]
    TemplateNoInstall { instance: String, template: String },
    #[error("{0:?} is no version; write one such as 3.5.0")]
    Version(String),
    #[error("{0} is not the version of the configuration around it, {1}; write {1}")]
    OtherVersion(String, String),
}
