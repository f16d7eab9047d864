//! What is generated from the arguments of `onlay`: man pages, completions, the schemas of its JSON and its reference.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use clap::{Arg, Command};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use onlay_cli::examples::{EXIT_CODES, VERBS, Verb};

use crate::run;

/// Name of the program.
const PROGRAM: &str = "onlay";
/// Transcripts of the examples, below the root of the checkout, as the tests of the command line keep them.
const TRANSCRIPTS: &str = "crates/cli/tests/transcripts/snapshots";
/// Longest result of an example that the reference shows, in lines.
const MAX_LINES: usize = 48;

/// Man pages, one a verb: text by name.
pub fn man_pages() -> io::Result<BTreeMap<String, String>> {
    let command = onlay_cli::arguments::command();
    let mut pages = BTreeMap::from([page(PROGRAM, command.clone())?]);
    for verb in command.get_subcommands() {
        let name = format!("{PROGRAM}-{}", verb.get_name());
        let usage = format!("{PROGRAM} {}", verb.get_name());
        let version = command.get_version().unwrap_or_default().to_owned();
        let (name, text) = page(&name, verb.clone().bin_name(usage).version(version))?;
        pages.insert(name, text);
    }
    Ok(pages)
}

fn page(name: &str, command: Command) -> io::Result<(String, String)> {
    let mut text = Vec::new();
    let command = command.name(name.to_owned()).disable_help_subcommand(true);
    Man::new(command).title(name).section("1").render(&mut text)?;
    Ok((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()))
}

/// Completions, one a shell: text by name.
pub fn completions() -> BTreeMap<String, String> {
    let shells = [(Shell::Bash, "onlay.bash"), (Shell::Zsh, "_onlay"), (Shell::Fish, "onlay.fish")];
    let text = |shell| {
        let mut text = Vec::new();
        generate(shell, &mut onlay_cli::arguments::command(), PROGRAM, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    shells.into_iter().map(|(shell, name)| (name.to_owned(), text(shell))).collect()
}

/// Schemas of what `-o json` writes, one a verb: text by name.
pub fn schemas() -> Result<BTreeMap<String, String>, serde_json::Error> {
    let schemas = onlay_cli::schemas().into_iter();
    schemas.map(|(verb, schema)| Ok((format!("{verb}.json"), serde_json::to_string_pretty(&schema)? + "\n"))).collect()
}

/// docs/user/cli.md: every verb with its arguments, its examples and what they show.
pub fn reference() -> io::Result<String> {
    let command = onlay_cli::arguments::command();
    let mut text = String::from(HEAD);
    text.push_str(&format!("{EXIT_CODES}\n{INSTALL}"));
    for verb in VERBS {
        let Some(command) = command.find_subcommand(verb.name) else { continue };
        text.push_str(&section(verb, command)?);
    }
    Ok(text)
}

const HEAD: &str = "\
<!-- Written by `cargo xtask gen` from the arguments in crates/cli. -->

# The command line

`onlay` shows what a cluster makes of MachineConfigs, before it does: the same functions run in the controller. It needs no
cluster; `diff` and `plan` can ask one, through kubectl, and write nothing. Under the name `kubectl-onlay` on the search path it is `kubectl onlay`.

Results go to standard output, errors and warnings to standard error, with colours if they end at a terminal; `NO_COLOR=1`
switches them off. With `-o json` errors and warnings are `findings` of the result; `onlay render`, whose result is a MachineConfig, writes
findings where there is none. YAML is read as `kubectl` reads it: `mode: 0644` is octal, `yes` and `on` are true. A key that is there
twice is an error. The examples run in examples/offline.

";

/// Its blocks are run by a test of crates/cli.
const INSTALL: &str = "
## Install

In a checkout of onlay, with Rust:

```console
$ cargo install --locked --path crates/cli
```

This puts `onlay` and `kubectl-onlay` into `~/.cargo/bin`. With that on the search path, `kubectl onlay` works too, and `man onlay`
and completions do after:

```sh
install -D -m 644 -t ~/.cargo/share/man/man1 docs/man/*.1
install -D -m 644 docs/completions/onlay.bash ~/.local/share/bash-completion/completions/onlay
install -D -m 644 -t ~/.local/share/zsh/site-functions docs/completions/_onlay
install -D -m 644 -t ~/.config/fish/completions docs/completions/onlay.fish
```

bash needs the package `bash-completion` for this, else `source` the file in `~/.bashrc`; zsh needs the directory in `fpath`, before
`compinit` in `~/.zshrc`: `fpath+=~/.local/share/zsh/site-functions`.
";

fn section(verb: &Verb, command: &Command) -> io::Result<String> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("\n## onlay {}\n\n{about}. {}\n\n", verb.name, verb.about);
    text.push_str("| argument | meaning |\n|---|---|\n");
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        text.push_str(&format!("| `{}` | {} |\n", written(argument), meaning(argument)));
    }
    for (index, example) in verb.examples.iter().enumerate() {
        let shown = transcript(&format!("{}_{}", verb.name, index + 1))?;
        text.push_str(&format!("\n{}:\n\n```console\n{shown}```\n", example.purpose));
    }
    Ok(text)
}

/// An argument as it is typed.
fn written(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes_value = argument.get_action().takes_values();
    let value = names.first().filter(|_| takes_value).map(ToString::to_string);
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    match (flags.is_empty(), value) {
        (true, value) => value.unwrap_or_default(),
        (false, Some(value)) => format!("{} {value}", flags.join(", ")),
        (false, None) => flags.join(", "),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values = argument.get_possible_values();
    if values.is_empty() || !argument.get_action().takes_values() {
        return help;
    }
    let value = |value: &clap::builder::PossibleValue| {
        let help = value.get_help().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("`{}`{help}", value.get_name())
    };
    format!("{help}: {}", values.iter().map(value).collect::<Vec<_>>().join(", "))
}

/// What an example shows, as its test has seen it. Errors come after results.
fn transcript(name: &str) -> io::Result<String> {
    let path = run::root().join(TRANSCRIPTS).join(format!("transcripts__examples__{name}.snap"));
    let text = read(&path)?;
    let shown = text.splitn(3, "---\n").nth(2).unwrap_or_default();
    let lines: Vec<&str> = shown.lines().map(without_mark).collect();
    let lines = lines.strip_suffix(&["exit 0"]).unwrap_or(&lines);
    let mut shown: String = lines.iter().take(MAX_LINES).map(|line| format!("{line}\n")).collect();
    if lines.len() > MAX_LINES {
        shown.push_str("…\n");
    }
    Ok(shown)
}

/// A line of a transcript without the mark that errors have there.
fn without_mark(line: &str) -> &str {
    line.strip_prefix("! ").or(line.strip_prefix('!')).unwrap_or(line)
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| {
        let what = format!("{} (`cargo test -p onlay-cli` writes it): {error}", path.display());
        io::Error::new(error.kind(), what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_verb_of_the_program() {
        let reference = reference().unwrap();
        for verb in onlay_cli::arguments::command().get_subcommands() {
            assert!(reference.contains(&format!("\n## onlay {}\n", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn results_and_errors_of_a_transcript_keep_their_indent() {
        assert_eq!(["! ", "!", "!   x", "a: !b"].map(without_mark), ["", "", "  x", "a: !b"]);
    }
}
