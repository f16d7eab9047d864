use std::collections::BTreeMap;

/// Labels that the images of ostree systems carry, and what each one is for.
const OSTREE_LABELS: [(&str, &str); 2] =
    [("ostree.final-diffid", "where the system's own layers end"), ("ostree.bootable", "it has a kernel")];

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image by digest, as `HOST[:PORT]/PATH@sha256:…`.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its architecture, as Kubernetes names it.
    pub architecture: String,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its digest, as the registry has it.
    pub digest: String,
    /// Its size there, in bytes.
    pub size: i64,
}

impl Image {
    /// Why the image is none of an ostree system, by [`ostree_fault`].
    pub fn ostree_fault(&self) -> Option<String> {
        ostree_fault(&self.reference, &self.labels)
    }
}

/// Why an image with these labels is none of an ostree system, so that no node could boot what is built on it; none if it
/// is one.
pub fn ostree_fault(image: &str, labels: &BTreeMap<String, String>) -> Option<String> {
    let missing: Vec<String> = OSTREE_LABELS
        .into_iter()
        .filter(|(label, _)| !labels.contains_key(*label))
        .map(|(label, what)| format!("{label} ({what})"))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{image} is no image of an ostree system: it has no label {}; name an image that was made from an ostree commit, \
             such as the one the nodes boot from",
            missing.join(" and ")
        )
    })
}
