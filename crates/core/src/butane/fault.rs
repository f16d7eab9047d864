//! What can be wrong with what Butane adds to Ignition, and what to write instead.

/// A broken rule of Butane, or a field that a MachineConfig cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("only one of inline, local and source can be given; keep one of them")]
    ManySources,
    #[error("only one of contents and contents_local can be given; keep one of them")]
    ManyContents,
    #[error("is no Ignition configuration: {0}")]
    NoIgnition(String),
    #[error("is a configuration of another version, which is not checked here")]
    OtherIgnition,
    #[error("{0} is read as a decimal number; write it with a leading zero, 0{0}, to mean octal")]
    DecimalMode(i64),
    #[error("local is missing; write the folder below the files directory")]
    TreeWithoutLocal,
    #[error("a mount unit needs `format`; write it")]
    MountWithoutFormat,
    #[error("a mount unit needs `path`; write it")]
    MountWithoutPath,
    #[error("{0:?} is mounted by the system itself; mount units are for paths below /etc and /var")]
    MountForbidden(String),
    #[error("{found:?} is no layout; write one of {known}")]
    Layout { found: String, known: &'static str },
    #[error("a mirror needs `layout` in boot_device; write aarch64, ppc64le or x86_64")]
    MirrorWithoutLayout,
    #[error("a mirror needs at least two devices")]
    OneMirrorDevice,
    #[error("the layout {0} cannot be mirrored; leave `mirror` out")]
    MirrorOnS390x(String),
    #[error("the layout {0} needs `luks.device`; write the device of the disk")]
    BootDeviceMissing(String),
    #[error("{device:?} is no disk of the layout {layout}; write {example}")]
    BootDeviceName { device: String, layout: String, example: &'static str },
    #[error("CEX needs a layout of s390x; write s390x-eckd, s390x-virt or s390x-zfcp")]
    CexLayout,
    #[error("CEX and clevis exclude each other; keep CEX, or tang and tpm2")]
    CexWithClevis,
    #[error("a device alone encrypts nothing; add tang, tpm2 or cex")]
    NoLuksMethod,
    #[error("CEX needs the kernel argument rd.luks.key=/etc/luks/cex.key; add it")]
    CexArgument,
    #[error("a partition without a number is made anew, not reused; write the number, or wipe_table: true")]
    ReuseByLabel,
    #[error("the label {label:?} belongs to partition {number}; with this number a new partition is made")]
    PartitionNumber { label: String, number: i64 },
    #[error("{0} MiB are too little for the root partition; give it 8192 or more")]
    RootTooSmall(i64),
    #[error(
        "the root partition cannot grow, since a partition without a start follows it; write start_mib or size_mib"
    )]
    RootConstrained,
    #[error("the name is missing; write the name of the GRUB user")]
    GrubName,
    #[error("the hash is missing; write what grub2-mkpasswd-pbkdf2 prints")]
    GrubHash,
    #[error("a file, directory or link with contents has the path {0} already; remove it, or the file of the tree")]
    NodeExists(String),
    #[error("{0} is neither a file nor a folder nor a link; remove it from the tree")]
    NodeKind(String),
    #[error("the name is missing; every MachineConfig needs one")]
    NameMissing,
    #[error("the label machineconfiguration.openshift.io/role is missing; write the pool, such as worker")]
    RoleMissing,
    #[error("{0:?} is no kernel type here; write default or realtime, or leave it out")]
    KernelType(String),
    #[error("is left out of plain Ignition output")]
    Elided,
    #[error("MachineConfigs have {what}; {way_out}")]
    Refused { what: &'static str, way_out: &'static str },
}
