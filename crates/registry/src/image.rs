use std::collections::{BTreeMap, BTreeSet};

/// Labels that the images of ostree systems carry, and what each one is for.
const OSTREE_LABELS: [(&str, &str); 2] =
    [("ostree.final-diffid", "where the system's own layers end"), ("ostree.bootable", "it has a kernel")];

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image by digest, as `HOST[:PORT]/PATH@sha256:…`.
    pub reference: String,
    /// The digest of its manifest, or of the index that names those for several architectures.
    pub digest: String,
    /// Architectures that it is for, as Kubernetes names them.
    pub architectures: BTreeSet<String>,
    /// Its labels, by those of the architectures that were asked for and that it is for.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
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
    /// Why nothing can be built on the image for nodes of these architectures: it is for others, or none of an ostree system
    /// (see [`ostree_fault`]).
    pub fn fault(&self, architectures: &BTreeSet<String>) -> Option<String> {
        let known = self.architectures.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        architectures.iter().find_map(|architecture| match self.labels.get(architecture) {
            Some(labels) => ostree_fault(&self.reference, labels),
            None => Some(format!(
                "{} is for {known}, and nodes of the pool are {architecture}; name an image that is for both",
                self.reference
            )),
        })
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
