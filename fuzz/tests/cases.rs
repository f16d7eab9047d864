//! Inputs that once broke a law or are likely to, one a file: `cases/TARGET/`. `cargo xtask fuzz` puts what it finds there.

#![cfg(test)]

use std::path::Path;

#[test]
fn every_kept_input_keeps_the_laws() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    for (name, target) in onlay_fuzz::TARGETS {
        let mut files: Vec<_> = directory.join(name).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no cases");
        for file in files {
            println!("{}", file.display());
            target(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_target_has_its_directory_and_no_other_has() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut found: Vec<_> =
        directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, onlay_fuzz::TARGETS.map(|(name, _)| name));
}
