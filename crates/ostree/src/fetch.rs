//! Bringing an image into the ostree repository, from layers already here or from where it is stored.
//!
//! skopeo runs as root without any capability, so that it reads the same credentials and certificates however this
//! program was started, and can do nothing else with being root.

use std::fs;
use std::path::PathBuf;
use std::process;

use ostree_ext::container::store::{
    ImageImporter, ImageProxyConfig, ImportProgress, LayeredImageState, PrepareResult, PreparedImport, list_images,
    manifest_digest_from_commit,
};
use ostree_ext::container::{OstreeImageReference, Transport};
use ostree_ext::keyfileext::KeyFileExt;
use ostree_ext::ostree::{Deployment, Repo, Sysroot};
use ostree_ext::{container::deploy::ORIGIN_CONTAINER, refescape};
use tokio::sync::mpsc::Receiver;

use crate::error::Error;
use crate::image::{self, Image};

/// Refs that hold the merged commit of each image; the name is part of ostree-ext's on-disk format.
const IMAGE_REFS: &str = "ostree/container/image";

/// How a registry is reached.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Access {
    /// Credentials in the format of podman and docker; without it the pull is anonymous
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Directory with the registry's CA (*.crt), besides /etc/containers/certs.d
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
}

/// An image whose merged commit is complete in the repository.
#[derive(Debug, PartialEq, Eq)]
pub struct Present {
    /// The commit to deploy.
    pub commit: String,
    /// The digest that names the image.
    pub digest: String,
}

/// Makes sure that the image is in the repository; asks nobody when it already is.
pub async fn ensure(sysroot: &Sysroot, image: &Image, access: &Access) -> Result<Present, Error> {
    if let Some(present) = find(sysroot, image) {
        eprintln!("{image} is already here");
        return Ok(present);
    }
    let config = access.proxy()?;
    let state =
        import(&sysroot.repo(), image, config).await.map_err(|source| failure(image, access, source.as_ref()))?;
    let digest = image.digest().map_or_else(|| state.manifest_digest.to_string(), String::from);
    Ok(Present { commit: state.merge_commit, digest })
}

/// The image that a deployment was made from: its pull specification (registries only) and its digest.
pub fn origin(repo: &Repo, deployment: &Deployment) -> (Option<String>, Option<String>) {
    let reference = deployment
        .origin()
        .and_then(|origin| origin.optional_string("origin", ORIGIN_CONTAINER).ok().flatten())
        .and_then(|text| OstreeImageReference::try_from(text.as_str()).ok());
    let Some(reference) = reference else { return (None, None) };
    let name = reference.imgref.name;
    let asked = name.split_once('@').map(|(_, digest)| digest.to_string());
    let Some(digest) = asked.or_else(|| manifest_digest(repo, &deployment.csum())) else { return (None, None) };
    let pullspec = (reference.imgref.transport == Transport::Registry).then(|| image::by_digest(&name, &digest));
    (pullspec, Some(digest))
}

impl Access {
    fn proxy(&self) -> Result<ImageProxyConfig, Error> {
        if let Some(path) = &self.authfile {
            fs::File::open(path).map_err(|source| Error::Authfile { path: path.clone(), source })?;
        }
        if let Some(path) = &self.cert_dir {
            fs::read_dir(path).map_err(|source| Error::CertDir { path: path.clone(), source })?;
        }
        Ok(ImageProxyConfig {
            authfile: self.authfile.clone(),
            certificate_directory: self.cert_dir.clone(),
            skopeo_cmd: Some(skopeo()),
            ..Default::default()
        })
    }

    fn describe(&self) -> String {
        match &self.authfile {
            Some(path) => format!("with the credentials in {}", path.display()),
            None => "without credentials".into(),
        }
    }
}

fn skopeo() -> process::Command {
    let mut command = process::Command::new("setpriv");
    command.args(["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--pdeathsig=TERM", "--", "skopeo"]);
    command.env("HOME", "/root");
    command
}

/// A complete commit of this digest, under whatever repository name it came.
fn find(sysroot: &Sysroot, image: &Image) -> Option<Present> {
    let digest = image.digest()?;
    let repo = sysroot.repo();
    let pulled = list_images(&repo).unwrap_or_default().into_iter().filter_map(|name| {
        let reference = refescape::prefix_escape_for_ref(IMAGE_REFS, &name).ok()?;
        let commit = repo.resolve_rev(&reference, true).ok()??.to_string();
        let same = name.ends_with(&format!("@{digest}")) || manifest_digest(&repo, &commit).as_deref() == Some(digest);
        same.then_some(commit)
    });
    let deployed = sysroot
        .deployments()
        .into_iter()
        .filter(|deployment| origin(&repo, deployment).1.as_deref() == Some(digest))
        .map(|deployment| deployment.csum().to_string());
    let commit = pulled.chain(deployed).next()?;
    Some(Present { commit, digest: digest.into() })
}

fn manifest_digest(repo: &Repo, commit: &str) -> Option<String> {
    let (commit, _) = repo.load_commit(commit).ok()?;
    manifest_digest_from_commit(&commit).ok().map(|digest| digest.to_string())
}

type Imported = Result<Box<LayeredImageState>, Box<dyn std::error::Error + Send + Sync>>;

async fn import(repo: &Repo, image: &Image, config: ImageProxyConfig) -> Imported {
    let mut importer = ImageImporter::new(repo, &image.reference(), config).await?;
    importer.require_bootable();
    let prepared = match importer.prepare().await? {
        PrepareResult::AlreadyPresent(state) => return Ok(state),
        PrepareResult::Ready(prepared) => prepared,
    };
    announce(image, &prepared);
    let progress = tokio::spawn(report(importer.request_progress()));
    let state = importer.import(prepared).await;
    progress.await?;
    Ok(state?)
}

fn announce(image: &Image, prepared: &PreparedImport) {
    let missing: Vec<_> = prepared.all_layers().filter(|layer| layer.commit.is_none()).collect();
    let bytes: u64 = missing.iter().map(|layer| layer.layer().size()).sum();
    eprintln!("fetching {image}: {} of {} layers, {bytes} bytes", missing.len(), prepared.all_layers().count());
}

async fn report(mut progress: Receiver<ImportProgress>) {
    while let Some(step) = progress.recv().await {
        match step {
            ImportProgress::OstreeChunkStarted(_) | ImportProgress::DerivedLayerStarted(_) => {}
            ImportProgress::OstreeChunkCompleted(layer) | ImportProgress::DerivedLayerCompleted(layer) => {
                eprintln!("layer {} is here, {} bytes", layer.digest(), layer.size());
            }
        }
    }
}

fn failure(image: &Image, access: &Access, source: &(dyn std::error::Error + 'static)) -> Error {
    let line = crate::error::one_line(source);
    let text = innermost(&line).to_string();
    let way_out = way_out(&text);
    Error::Fetch { image: image.clone(), access: access.describe(), text, way_out }
}

/// What skopeo says, without the names of the remote calls that it passed through.
fn innermost(text: &str) -> &str {
    let call = text.rsplit_once("failed to invoke method ").and_then(|(_, rest)| rest.split_once(": "));
    call.map_or(text, |(_, words)| words)
}

/// What a person can do about a failed fetch; the words are those of skopeo, the registries and ostree-ext.
fn way_out(text: &str) -> &'static str {
    const HINTS: [(&[&str], &str); 8] = [
        (
            &["certificate has expired or is not yet valid"],
            "check the clock of this node, and for how long the registry's certificate is valid",
        ),
        (
            &["x509:", "certificate"],
            "put the registry's CA into /etc/containers/certs.d/HOST:PORT/ca.crt or name its directory with --cert-dir",
        ),
        (
            &["unauthorized", "authentication required", "denied", "forbidden"],
            "check that the credentials hold an entry for this registry that may pull",
        ),
        (&["manifest unknown", "not found", "name unknown"], "the registry does not have this digest; push it again"),
        (
            &["final-diffid", "ostree.bootable", "not an ostree", "serialization error"],
            "it is no ostree image; build it FROM an ostree base image",
        ),
        (&["has architecture"], "build the image for this machine's architecture"),
        (&["No space left"], "free space below /sysroot, for example with onlay-ostree prune"),
        (&["setpriv", "skopeo spawn"], "install skopeo and util-linux in the image that this node runs"),
    ];
    let known = HINTS.iter().find(|(words, _)| words.iter().any(|word| text.contains(word)));
    known.map_or("check that this node reaches the registry", |(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{innermost, way_out};

    #[rstest]
    #[case::nested_calls_are_left_out(
        "Creating importer: failed to invoke method OpenImage: failed to invoke method OpenImage: pinging r: refused",
        "pinging r: refused"
    )]
    #[case::other_words_are_kept("Preparing import: no label", "Preparing import: no label")]
    fn keeps_the_words_that_matter(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(innermost(text), expected);
    }

    #[rstest]
    #[case::an_unknown_ca_names_the_place_for_it("pinging: x509: certificate signed by unknown authority", "certs.d")]
    #[case::another_time_names_the_clock("x509: certificate has expired or is not yet valid: current time", "clock")]
    #[case::wrong_password_names_the_credentials("unauthorized: authentication required", "credentials")]
    #[case::a_digest_that_is_gone_asks_for_a_push("reading manifest sha256:1: manifest unknown", "push it again")]
    #[case::a_plain_image_asks_for_an_ostree_base("No ostree.final-diffid label found, not an ostree", "FROM")]
    #[case::an_image_without_a_history_is_no_ostree_image("serialization error: missing field `history`", "FROM")]
    #[case::a_full_disk_names_prune("write: No space left on device", "prune")]
    #[case::anything_else_may_be_the_network("dial tcp 10.0.0.1:5000: connect: connection refused", "reaches")]
    fn names_the_way_out(#[case] text: &str, #[case] expected: &str) {
        assert!(way_out(text).contains(expected), "{}", way_out(text));
    }
}
