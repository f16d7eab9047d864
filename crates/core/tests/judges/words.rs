//! Values that fields take, and values that most of them do not.

use onlay_core::render::ignition::spec::fields::Kind;

use super::dice::Dice;

const SHA512: &str = "sha512-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHA256: &str = "sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const GUID: &str = "21686148-6449-6E6F-744E-656564454649";
const UNIT: &str = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n";
const INSTALLED: &str = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";

/// Texts that are right somewhere and wrong elsewhere.
const STRANGE: [&str; 36] = [
    "",
    " ",
    "/",
    "//",
    "/etc/../etc/a",
    "/etc/a/",
    "etc/a",
    "a",
    "0",
    "yes",
    "null",
    "~",
    "3.4.0",
    "data:",
    "data:,",
    "data:;base64,QQ",
    "data:;base64,QQ==",
    "data:text/plain;charset=x,%zz",
    "http://",
    "https://e.com/%zz",
    "s3://b/k",
    "s3://b/k?versionId=1",
    "arn:aws:s3:::b/k",
    "tftp://h/p",
    "gs://b/o",
    "ftp://h/p",
    "gzip",
    "bzip2",
    "sha512-00",
    "sha256-zz",
    "a.service",
    "a@b.mount",
    "[x",
    "é\u{2028}<&>",
    "a:b",
    "0123456789012345678901234567890123456789",
];

/// A value that the field may or may not take.
pub fn strange(dice: &mut Dice) -> String {
    if dice.once_in(3) { words_of(dice) } else { dice.pick(&STRANGE).to_owned() }
}

fn words_of(dice: &mut Dice) -> String {
    let letters = ["a", "/", ":", "%", "\n", " ", "\"", "\\", "=", "[", "]", "é", "\u{7f}", "-", "#", "9"];
    (0..dice.below(12)).map(|_| dice.pick(&letters)).collect()
}

/// Contents of any length, so that each encoding and compression is the shortest at times.
pub fn contents(dice: &mut Dice) -> String {
    let line = dice.pick(&["a b\n", "é", "0123456789abcdef", "<&>", "key=value\n", "%", ""]);
    let times = [1, 2, 5, 20, 100][dice.below(5)];
    line.repeat(times) + &words_of(dice)
}

/// A text that the field takes, in most places. `number` is new each time.
pub fn usual(kind: Kind, field: &str, number: usize, openshift: bool, dice: &mut Dice) -> String {
    let fixed = match (kind, field) {
        (Kind::Disk | Kind::Luks | Kind::Filesystem, "device") => return format!("/dev/disk/by-id/d{number}"),
        (Kind::Filesystem, "path") => return format!("/var/mnt/f{number}"),
        (Kind::Foreign("tree"), "path") => return format!("/opt/t{number}"),
        (_, "path") => return format!("/etc/f{number}"),
        (Kind::Unit, "name") => dice.pick(&["service", "mount", "timer", "socket"]),
        (Kind::DropIn, "name") => return format!("{number}.conf"),
        (Kind::User, "name") if openshift => "core",
        (Kind::Raid | Kind::Luks | Kind::User | Kind::Group | Kind::HttpHeader, "name") => return format!("n{number}"),
        (Kind::Foreign("grub.user"), "name") => return format!("g{number}"),
        (Kind::Foreign("metadata"), "name") => "50-random",
        (Kind::NodeAccount, "name") => dice.pick(&["core", "root", "wheel"]),
        (Kind::Tang, "url") => "https://tang.example.com",
        (Kind::Proxy, _) => dice.pick(&["http://p.example.com", "https://p.example.com"]),
        (Kind::ClevisCustom, "pin") => dice.pick(&["tpm2", "tang", "sss"]),
        (Kind::Foreign("boot_device"), "layout") => {
            dice.pick(&["x86_64", "aarch64", "ppc64le", "s390x-eckd", "s390x-zfcp", "s390x-virt"])
        }
        (Kind::Foreign("boot_device.luks"), "device") => dice.pick(&["/dev/dasda", "/dev/sda"]),
        (Kind::Foreign("tree"), "local") => dice.pick(&["tree", "tree/etc"]),
        (_, "local" | "ssh_authorized_keys_local") => "keys",
        (_, "contents_local") => "local.service",
        (_, "source") if openshift => dice.pick(&["data:,x", "data:;base64,aGkK", "data:text/plain,%20x"]),
        (_, "source") => dice.pick(&["data:,x", "https://example.com/x", "http://e.com/y", "s3://b/k", "tftp://h/p"]),
        (_, "hash") => dice.pick(&[SHA512, SHA512, SHA256]),
        (_, "compression") => "",
        (_, "contents") => dice.pick(&[UNIT, INSTALLED, "[Service]\nRestart=always\n"]),
        (_, "target") => "/etc/t",
        (_, "format") => dice.pick(&["ext4", "xfs", "vfat", "swap"]),
        (_, "level") => dice.pick(&["raid0", "raid1", "raid5", "raid10", "stripe", "linear"]),
        (_, "guid" | "typeGuid" | "uuid") => GUID,
        (_, "kernelType") => dice.pick(&["", "default", "realtime"]),
        (_, "passwordHash") => "$y$j9T$x",
        (_, "devices") => return format!("/dev/sd{}", char::from(b'a' + u8::try_from(number % 26).unwrap())),
        (_, "label") => return format!("l{number}"),
        (_, "inline") => return contents(dice),
        _ => return format!("v{number}"),
    };
    if (kind, field) == (Kind::Unit, "name") { format!("u{number}.{fixed}") } else { fixed.to_owned() }
}

/// A number that the field takes, in most places.
pub fn number(field: &str, dice: &mut Dice) -> i64 {
    match field {
        "mode" | "file_mode" | "dir_mode" => [0o644, 0o600, 0o755, 0o400, 0][dice.below(5)],
        "sizeMiB" | "startMiB" => 0,
        "number" => i64::try_from(dice.below(30)).unwrap(),
        "threshold" | "spares" => [0, 1][dice.below(2)],
        _ => [0, 1, 5, 1000][dice.below(4)],
    }
}

/// A number that hardly any field takes.
pub fn strange_number(dice: &mut Dice) -> i64 {
    [-1, 0o1000, 0o4755, 0o7777, 0o10000, 644, 755, i64::MAX, 128, 2, 0][dice.below(11)]
}
