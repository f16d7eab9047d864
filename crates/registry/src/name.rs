//! Names of images, as the library that talks to registries takes them.
//!
//! oci-client reads names with one regular expression, whose automata take 10 MB for as long as a controller lives. The tests hold
//! our reader to it.

use oci_client::Reference;
use onlay_api::image_name;

/// The tag of names that say neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// Reads a name, `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. An error says what is wrong with it.
pub fn parse(text: &str) -> Result<Reference, String> {
    let name = image_name::parse(text)?;
    let (registry, path, digest) = (name.registry.to_owned(), name.repository(), name.digest.map(str::to_owned));
    Ok(match (name.tag.map(str::to_owned), digest) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(registry, path, tag, digest),
        (None, Some(digest)) => Reference::with_digest(registry, path, digest),
        (tag, None) => Reference::with_tag(registry, path, tag.unwrap_or_else(|| DEFAULT_TAG.to_owned())),
    })
}

#[cfg(test)]
mod tests;
