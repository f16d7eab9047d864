//! Files, directories and standard input, as texts.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kustomize;
use crate::finding::{Finding, Source};

/// Largest text that is read, in bytes. Objects of the API are below 1.5 MiB each.
const MAX_TEXT: u64 = 64 << 20;
/// How deep directories are followed with `--recursive`.
const MAX_DEPTH: usize = 32;
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The texts that the paths name, in order. `-` is standard input; the files of a directory come by name.
pub fn read(paths: &[PathBuf], recursive: bool, stdin: &mut dyn Read) -> Vec<Result<Arc<Source>, Finding>> {
    let mut texts = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            texts.push(read_text("<stdin>", stdin));
        } else if path.is_dir() {
            read_directory(path, recursive, &mut texts);
        } else {
            texts.push(read_file(path));
        }
    }
    texts
}

/// Reads a file as text.
pub fn read_file(path: &Path) -> Result<Arc<Source>, Finding> {
    let name = path.display().to_string();
    let mut file = fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
    read_text(&name, &mut file)
}

/// Reads a text from anywhere.
pub fn read_text(name: &str, from: &mut dyn Read) -> Result<Arc<Source>, Finding> {
    let mut bytes = Vec::new();
    from.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > MAX_TEXT {
        let message = format!("has more than {} MiB; objects of the API are much smaller", MAX_TEXT >> 20);
        return Err(Finding::error(name, message));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Finding::error(name, format!("is no UTF-8 text: byte {at} belongs to no character"))
                .help("write the file again as UTF-8"))
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Finding {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Finding::error(name, format!("failed to read: {what}"))
}

fn read_directory(path: &Path, recursive: bool, texts: &mut Vec<Result<Arc<Source>, Finding>>) {
    if kustomize::is_kustomization(path) {
        texts.push(kustomize::build(path));
        return;
    }
    match list(path, if recursive { MAX_DEPTH } else { 0 }) {
        Ok(files) if files.is_empty() => {
            let name = path.display().to_string();
            let finding = Finding::error(name, "the directory has no file that ends in .yaml, .yml or .json");
            texts.push(Err(finding.help("--recursive looks into the directories below as well")));
        }
        Ok(files) => texts.extend(files.iter().map(|file| read_file(file))),
        Err(error) => texts.push(Err(unreadable(&path.display().to_string(), &error))),
    }
}

/// The files with a known ending, by path. Links to directories are not followed.
fn list(directory: &Path, depth: usize) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if depth > 0 {
                files.extend(list(&path, depth - 1)?);
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) && path.is_file()
        {
            files.insert(path);
        }
    }
    Ok(files)
}
