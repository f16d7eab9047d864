//! The files that the command lines name.

use tempfile::TempDir;

const METADATA: &str = "metadata:\n  name: 50-motd\n  labels:\n    machineconfiguration.openshift.io/role: worker\n";

/// A MachineConfig.
const GOOD: &str = "\
variant: openshift
version: 4.20.0
metadata:
  name: 50-motd
  labels:
    machineconfiguration.openshift.io/role: worker
storage:
  files:
    - path: /etc/motd
      mode: 0644
      contents:
        inline: hello
";
/// Ignition.
const FCOS: &str = "\
variant: fcos
version: 1.5.0
storage:
  files:
    - path: /etc/motd
      contents: {inline: hello}
systemd:
  units:
    - {name: a.service, mask: true}
";
/// One warning and no error.
const WARNS: &str = "variant: fcos\nversion: 1.5.0\nnobody: knows\n";
/// One error.
const BROKEN: &str = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: etc/motd\n";
/// No YAML.
const NO_YAML: &str = "variant: [\n";
/// A file that lies beside it.
const LOCAL: &str = "\
variant: fcos
version: 1.5.0
storage:
  files:
    - path: /etc/motd
      contents: {local: motd}
";
/// A variant that only the real tool has.
const FLATCAR: &str = "variant: flatcar\nversion: 1.0.0\n";

/// A directory with all of them, and `files` with what LOCAL and its like name. It is gone with the value.
pub fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("files")).unwrap();
    for (name, text) in [("good.bu", GOOD), ("fcos.bu", FCOS), ("warns.bu", WARNS), ("broken.bu", BROKEN)] {
        write(name, text);
    }
    for (name, text) in [("local.bu", LOCAL), ("flatcar.bu", FLATCAR), ("no-yaml.bu", NO_YAML), ("files/motd", "hi")] {
        write(name, text);
    }
    let arguments = "openshift:\n  kernel_arguments: [audit=0]\n";
    write("arguments.bu", &format!("variant: openshift\nversion: 4.20.0\n{METADATA}{arguments}"));
    write("absent.bu", &LOCAL.replace("local: motd", "local: absent"));
    write("above.bu", &LOCAL.replace("local: motd", "local: ../good.bu"));
    write("link.bu", &LOCAL.replace("local: motd", "local: link"));
    std::os::unix::fs::symlink("../good.bu", directory.path().join("files/link")).unwrap();
    write("older", &"longer ".repeat(100));
    directory
}

/// The bytes of standard input.
pub fn bytes(input: &str) -> &'static [u8] {
    match input {
        "" => b"",
        "good" => GOOD.as_bytes(),
        "warns" => WARNS.as_bytes(),
        "broken" => BROKEN.as_bytes(),
        "no YAML" => NO_YAML.as_bytes(),
        "no text" => b"variant: \xff\n",
        "CRLF" => b"variant: fcos\r\nversion: 1.5.0\r\n",
        "BOM" => b"\xef\xbb\xbfvariant: fcos\nversion: 1.5.0\n",
        other => panic!("{other} is no input"),
    }
}
