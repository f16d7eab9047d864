//! Names of images.
//!
//! Source of the rules: the grammar of references of the OCI distribution project, and what a name without a registry means since
//! Docker. The tests of `onlay-registry` hold this reader to the one of the library that talks to registries.

/// The registry of names that say none, an older name for it, and where images without an owner lie there.
const DEFAULT_REGISTRY: &str = "docker.io";
const OLD_REGISTRY: &str = "index.docker.io";
const OFFICIAL: &str = "library";
/// Longest tag and longest path, in bytes.
const MAX_TAG: usize = 128;
const MAX_PATH: usize = 255;
/// Digests that registries know, with the number of their hexadecimal digits.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// A name of an image, `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// Registry, with its port if the name says one.
    pub registry: &'a str,
    /// Path in the registry.
    pub path: &'a str,
    /// Whether the path is that of an image without an owner, which lies below `library`.
    pub is_official: bool,
    /// Tag, if the name says one.
    pub tag: Option<&'a str>,
    /// Digest, if the name says one.
    pub digest: Option<&'a str>,
}

impl ImageName<'_> {
    /// The whole path in the registry.
    pub fn repository(&self) -> String {
        if self.is_official { format!("{OFFICIAL}/{}", self.path) } else { self.path.to_owned() }
    }
}

/// Reads a name.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(text: &str) -> Result<ImageName<'_>, String> {
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("names have no scheme; leave out {:?}", format!("{}://", short(scheme))));
    }
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    digest.map_or(Ok(()), check_digest)?;
    tag.map_or(Ok(()), check_tag)?;
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    check_host(registry)?;
    check_path(path)?;
    let registry = if registry == OLD_REGISTRY { DEFAULT_REGISTRY } else { registry };
    let is_official = registry == DEFAULT_REGISTRY && !path.contains('/');
    let name = ImageName { registry, path, is_official, tag, digest };
    if name.repository().len() > MAX_PATH { Err(format!("its path is longer than {MAX_PATH} bytes")) } else { Ok(name) }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let plain = address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            plain && address.contains(':') && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }
        None => name.split('.').all(is_label) && port.is_none_or(is_port),
    };
    if fits { Ok(()) } else { Err(format!("{:?} is no HOST or HOST:PORT", short(host))) }
}

fn check_path(path: &str) -> Result<(), String> {
    match path.split('/').find(|part| !is_part(part)) {
        Some("") => Err("a part of its path is empty".to_owned()),
        Some(part) => Err(format!(
            "{:?} in its path: parts are of a-z and 0-9, with one of \".\", \"_\", \"__\" or any number of \"-\" between",
            short(part)
        )),
        None => Ok(()),
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
        Err(format!("{:?} is no tag: up to {MAX_TAG} of A-Z a-z 0-9 _ . -, and the first is no . or -", short(tag)))
    }
}

fn check_digest(digest: &str) -> Result<(), String> {
    let known = digest.split_once(':').and_then(|(algorithm, digits)| {
        let (_, length) = DIGESTS.into_iter().find(|(known, _)| *known == algorithm)?;
        (digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
    });
    known.ok_or_else(|| format!("{:?} is no digest: sha256: and 64 hexadecimal digits", short(digest)))
}

/// The beginning of a part, short enough for a message.
fn short(text: &str) -> &str {
    const LONGEST: usize = 60;
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}
