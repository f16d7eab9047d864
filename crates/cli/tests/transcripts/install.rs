//! docs/user/cli.md, how the program is installed: its commands as they stand there.

use std::path::Path;
use std::process::Command;

use crate::session::checkout;

/// The blocks of the section in this language, such as `sh`.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(checkout().join("docs/user/cli.md")).unwrap();
    let (_, rest) = page.split_once("\n## Install\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let fence = format!("\n```{language}\n");
    section.split(&fence).skip(1).map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

/// Runs a script in the checkout, with this directory as home; what it printed.
fn bash(home: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-euc", script])
        .current_dir(checkout())
        .env("HOME", home)
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_installed_is_this_package_with_both_names() {
    assert_eq!(blocks("console"), ["$ cargo install --locked --path crates/cli\n"]);
    assert_eq!(checkout().join("crates/cli").canonicalize().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let programs = [env!("CARGO_BIN_EXE_onlay"), env!("CARGO_BIN_EXE_kubectl-onlay")];
    let names = programs.map(|program| Path::new(program).file_name().unwrap());
    assert_eq!(names, ["onlay", "kubectl-onlay"]);
}

#[test]
fn man_pages_and_completions_are_put_where_they_are_found_and_bash_completes() {
    let home = tempfile::tempdir().unwrap();
    let [commands] = blocks("sh").try_into().unwrap();
    bash(home.path(), &commands);
    for file in [
        ".cargo/share/man/man1/onlay.1",
        ".cargo/share/man/man1/onlay-render.1",
        ".local/share/zsh/site-functions/_onlay",
        ".config/fish/completions/onlay.fish",
    ] {
        assert!(home.path().join(file).is_file(), "{file}");
    }
    let load = "source ~/.local/share/bash-completion/completions/onlay";
    let known = bash(home.path(), &format!("{load}; complete -p onlay"));
    assert!(known.starts_with("complete ") && known.ends_with(" -F _onlay onlay\n"), "{known}");
    let typed = "COMP_WORDS=(onlay ren); COMP_CWORD=1; _onlay onlay ren onlay; echo ${COMPREPLY[@]}";
    assert_eq!(bash(home.path(), &format!("{load}; {typed}")), "render\n");
}
