//! The command lines.

/// The files that `--output` names: a new one, and one that is there already.
pub const OUTPUTS: [&str; 2] = ["out", "older"];

/// A command line, without the name of the program.
#[derive(Debug)]
pub struct Line {
    /// What it is about.
    pub name: &'static str,
    /// Its arguments; none of them has a space.
    pub arguments: &'static str,
    /// What is on standard input.
    pub input: &'static str,
    /// What both tools do alike.
    pub same: Same,
}

/// What both tools do alike.
#[derive(Debug, Clone, Copy)]
pub enum Same {
    /// Exit code, results after parsing, files, and whether there is something to say.
    All,
    /// The exit code, for this reason.
    Exit(&'static str),
    /// We differ on purpose.
    Nothing {
        /// How the real tool ends.
        real: i32,
        /// How we end.
        onlay: i32,
        /// Why.
        why: &'static str,
    },
}

const fn same(name: &'static str, arguments: &'static str) -> Line {
    Line { name, arguments, input: "", same: Same::All }
}

const fn fed(name: &'static str, arguments: &'static str, input: &'static str) -> Line {
    Line { name, arguments, input, same: Same::All }
}

const fn differs(name: &'static str, arguments: &'static str, ends: (i32, i32), why: &'static str) -> Line {
    let same = Same::Nothing { real: ends.0, onlay: ends.1, why };
    Line { name, arguments, input: "good", same }
}

const fn own_words(name: &'static str, arguments: &'static str) -> Line {
    Line { name, arguments, input: "", same: Same::Exit("the text is each tool's own") }
}

/// All of them.
pub const TABLE: &[Line] = &[
    fed("standard input", "", "good"),
    fed("standard input, with flags", "--raw --pretty", "good"),
    fed("a warning on standard input", "", "warns"),
    fed("an error on standard input", "", "broken"),
    fed("no YAML on standard input", "", "no YAML"),
    fed("no text on standard input", "", "no text"),
    fed("nothing on standard input", "", ""),
    fed("lines that end in CRLF", "", "CRLF"),
    fed("a byte order mark", "", "BOM"),
    fed("a file, and something on standard input", "fcos.bu", "broken"),
    same("a MachineConfig", "good.bu"),
    same("Ignition", "fcos.bu"),
    same("flags behind the file", "good.bu --raw --pretty"),
    same("a file behind a double dash", "--raw -- good.bu"),
    same("a file that is not there", "nowhere.bu"),
    same("a directory for a file", "files"),
    same("no YAML", "no-yaml.bu"),
    same("two files", "good.bu fcos.bu"),
    same("two files, one of them broken", "--check good.bu broken.bu"),
    same("warnings", "warns.bu"),
    same("warnings and --strict", "--strict warns.bu"),
    same("warnings and -s", "-s warns.bu"),
    same("warnings, --strict and --check", "--strict --check warns.bu"),
    same("warnings and --check", "--check warns.bu"),
    same("nothing to warn about and --strict", "--strict good.bu"),
    same("an error and --strict", "--strict broken.bu"),
    same("a good file and --check", "--check good.bu"),
    same("a good file and -c", "-c good.bu"),
    same("an error and --check", "--check broken.bu"),
    same("no file and --check", "--check nowhere.bu"),
    same("--raw of a MachineConfig", "--raw good.bu"),
    same("-r of a MachineConfig", "-r good.bu"),
    same("--raw of Ignition", "--raw fcos.bu"),
    same("--raw, which leaves something out", "--raw arguments.bu"),
    same("--raw, which leaves something out, and --strict", "--raw --strict arguments.bu"),
    same("--pretty of a MachineConfig", "--pretty good.bu"),
    same("--pretty of Ignition", "--pretty fcos.bu"),
    same("several short flags in one", "-rp good.bu"),
    same("a short flag twice", "-p -p fcos.bu"),
    same("a long flag twice", "--strict --strict fcos.bu"),
    same("--output", "--output out good.bu"),
    same("--output=", "--output=out good.bu"),
    same("-o", "-o out good.bu"),
    same("-o without a space", "-oout good.bu"),
    same("--output over a longer file", "--output older good.bu"),
    same("--output over another file, and an error", "--output older broken.bu"),
    same("--output twice: the last one counts", "--output older --output out good.bu"),
    same("--output of pretty Ignition", "-po out fcos.bu"),
    same("--output and warnings", "--output out warns.bu"),
    same("--output, warnings and --strict", "--strict --output out warns.bu"),
    same("--output and an error", "--output out broken.bu"),
    same("--output and --check", "--check --output out good.bu"),
    same("--output where no directory is", "--output nowhere/out good.bu"),
    same("--output onto a directory", "--output files good.bu"),
    same("--output without a file", "good.bu --output"),
    fed("--output from standard input", "--output out", "good"),
    same("a local file without a directory", "local.bu"),
    same("--files-dir", "--files-dir files local.bu"),
    same("-d", "-d files local.bu"),
    same("--files-dir with a slash behind it", "--files-dir files/ local.bu"),
    same("--files-dir with dots", "--files-dir ./files/../files local.bu"),
    same("a local file that is not there", "--files-dir files absent.bu"),
    same("a local file above the directory", "--files-dir files above.bu"),
    same("a directory that is not there, for a local file", "--files-dir nowhere local.bu"),
    same("a file for a directory, for a local file", "--files-dir good.bu local.bu"),
    same("--files-dir and nothing local", "--files-dir files fcos.bu"),
    same("an unknown flag", "--unknown good.bu"),
    same("an unknown short flag", "-x good.bu"),
    same("an unknown flag among known ones", "-rx good.bu"),
    same("the beginning of a flag", "--pre good.bu"),
    same("a flag that the file's error does not reach", "--unknown broken.bu"),
    same("--raw-errors and a good file", "--raw-errors good.bu"),
    same("--raw-errors and an error", "--raw-errors broken.bu"),
    same("--raw-errors and a warning", "--raw-errors warns.bu"),
    own_words("help", "--help"),
    own_words("help, in short", "-h"),
    own_words("version", "--version"),
    own_words("version, in short", "-V"),
    differs(
        "a dash for standard input",
        "-",
        (1, 0),
        "all verbs of onlay read standard input there; the real tool, a file",
    ),
    differs(
        "a link out of the directory",
        "--files-dir files link.bu",
        (0, 1),
        "a file must not take along what lies elsewhere",
    ),
    differs(
        "a directory that is not there, and nothing local",
        "--files-dir nowhere fcos.bu",
        (0, 1),
        "a wrong path is told early",
    ),
    same("colours never", "--color=never warns.bu"),
    same("colours without a value", "--color fcos.bu"),
    same("colours whose value is a file", "--color never fcos.bu"),
    differs("colours of another value", "--color=purple fcos.bu", (0, 2), "a word that means nothing is a mistake"),
    differs("another variant", "flatcar.bu", (0, 1), "onlay's nodes take MachineConfigs and Ignition of fcos"),
    differs("a value for a flag", "--pretty=false fcos.bu", (0, 2), "a flag is given or left out"),
    differs("--input", "--input fcos.bu", (0, 2), "the real tool hides it and calls it deprecated"),
];
