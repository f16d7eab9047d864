//! Names of images.
//!
//! Source of the rules: the grammar of references of the OCI distribution project, and what a name without a registry means since
//! Docker. oci-client reads names with one regular expression, whose automata take 10 MB for as long as a controller lives; the tests
//! hold this reader to it.

use oci_client::Reference;

/// The registry of names that say none, an older name for it, and where images without an owner lie there.
const DEFAULT_REGISTRY: &str = "docker.io";
const OLD_REGISTRY: &str = "index.docker.io";
const OFFICIAL: &str = "library";
/// The tag of names that say neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest tag and longest path, in bytes.
const MAX_TAG: usize = 128;
const MAX_PATH: usize = 255;
/// Digests that registries know, with the number of their hexadecimal digits.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Reads a name, `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. An error says what is wrong with it.
pub fn parse(text: &str) -> Result<Reference, String> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    digest.map_or(Ok(()), check_digest)?;
    tag.map_or(Ok(()), check_tag)?;
    let (registry, path) = split(name)?;
    let (registry, digest) = (registry.to_owned(), digest.map(str::to_owned));
    Ok(match (tag.map(str::to_owned), digest) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(registry, path, tag, digest),
        (None, Some(digest)) => Reference::with_digest(registry, path, digest),
        (tag, None) => Reference::with_tag(registry, path, tag.unwrap_or_else(|| DEFAULT_TAG.to_owned())),
    })
}

/// Registry and path of a name without tag and digest.
fn split(name: &str) -> Result<(&str, String), String> {
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    check_host(registry)?;
    match path.split('/').find(|part| !is_part(part)) {
        Some("") => return Err("a part of its path is empty".to_owned()),
        Some(part) => {
            return Err(format!(
                "{part:?} in its path: parts are of a-z and 0-9, with one of \".\", \"_\", \"__\" or any number of \"-\" between"
            ));
        }
        None => {}
    }
    let registry = if registry == OLD_REGISTRY { DEFAULT_REGISTRY } else { registry };
    let is_official = registry == DEFAULT_REGISTRY && !path.contains('/');
    let path = if is_official { format!("{OFFICIAL}/{path}") } else { path.to_owned() };
    if path.len() > MAX_PATH { Err(format!("its path is longer than {MAX_PATH} bytes")) } else { Ok((registry, path)) }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if name.split('.').all(is_label) && port.is_none_or(is_port) {
        Ok(())
    } else {
        Err(format!("{host:?} is no HOST or HOST:PORT"))
    }
}

/// Whether something may stand between two slashes of a path.
fn is_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_between = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let ends = [part.bytes().next(), part.bytes().next_back()];
    ends.into_iter().all(|end| end.is_some_and(is_word))
        && part.split(|c: char| u8::try_from(c).is_ok_and(is_word)).all(is_between)
}

fn check_tag(tag: &str) -> Result<(), String> {
    let plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if plain && !tag.is_empty() && !tag.starts_with(['.', '-']) && tag.len() <= MAX_TAG {
        Ok(())
    } else {
        Err(format!("{tag:?} is no tag: up to {MAX_TAG} of A-Z a-z 0-9 _ . -, and the first is no . or -"))
    }
}

fn check_digest(digest: &str) -> Result<(), String> {
    let known = digest.split_once(':').and_then(|(algorithm, digits)| {
        let (_, length) = DIGESTS.into_iter().find(|(known, _)| *known == algorithm)?;
        (digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
    });
    known.ok_or_else(|| format!("{digest:?} is no digest: sha256: and 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests;
