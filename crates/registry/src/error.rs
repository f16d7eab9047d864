use std::error::Error;
use std::io;

use oci_client::errors::{OciDistributionError, OciError, OciErrorCode};

use crate::auth::AuthError;

/// Why a registry did not give an answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A name that is none of an image.
    #[error("failed to read the image name {image}: {reason}; write HOST[:PORT]/PATH:TAG or HOST[:PORT]/PATH@sha256:…")]
    Name {
        /// What was given.
        image: String,
        /// What is wrong.
        reason: String,
    },
    /// Authorities that are none.
    #[error("failed to read the registry authorities; give certificates in PEM, one after the other")]
    Authorities(#[source] Box<OciDistributionError>),
    /// Credentials that cannot be read.
    #[error(transparent)]
    Credentials(#[from] AuthError),
    /// A registry that says no.
    #[error("image {image}: registry {registry} answered {status}; {way_out}")]
    Refused {
        /// The image that was asked for.
        image: String,
        /// The registry.
        registry: String,
        /// What it answered.
        status: String,
        /// What to do.
        way_out: &'static str,
        /// What the client says.
        source: Box<OciDistributionError>,
    },
    /// A registry whose certificate is not trusted.
    #[error(
        "image {image}: the certificate of registry {registry} is not trusted ({reason}); put its authority \
         into the ConfigMap of registry authorities, or into the one of what builds trust (spec.build.trustedCA of the pool's \
         LayeringPolicy)"
    )]
    Untrusted {
        /// The image that was asked for.
        image: String,
        /// The registry.
        registry: String,
        /// What is wrong with the certificate.
        reason: String,
        /// What the client says.
        source: Box<OciDistributionError>,
    },
    /// A registry whose certificate is not valid at the present time.
    #[error(
        "image {image}: the certificate of registry {registry} is not valid now ({reason}); check the clock of the machine that \
         asks, and for how long the certificate is valid"
    )]
    NotValidNow {
        /// The image that was asked for.
        image: String,
        /// The registry.
        registry: String,
        /// What is wrong with the certificate.
        reason: String,
        /// What the client says.
        source: Box<OciDistributionError>,
    },
    /// A registry that does not answer.
    #[error("image {image}: registry {registry} does not answer ({reason}); check its name and the network")]
    Unreachable {
        /// The image that was asked for.
        image: String,
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
        /// What the client says.
        source: Box<OciDistributionError>,
    },
    /// An answer that cannot be understood.
    #[error("image {image}: the answer of registry {registry} cannot be understood ({reason})")]
    Answer {
        /// The image that was asked for.
        image: String,
        /// The registry.
        registry: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was asked of which registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) image: &'a str,
    pub(crate) registry: &'a str,
}

impl Asked<'_> {
    pub(crate) fn failed(self, error: OciDistributionError) -> RegistryError {
        let (image, registry) = (self.image.to_owned(), self.registry.to_owned());
        if let OciDistributionError::RequestError(_) = error {
            let reason = root_cause(&error);
            let source = Box::new(error);
            return if is_about_time(&*source) {
                RegistryError::NotValidNow { image, registry, reason, source }
            } else if is_about_trust(&*source) {
                RegistryError::Untrusted { image, registry, reason, source }
            } else {
                RegistryError::Unreachable { image, registry, reason, source }
            };
        }
        match status(&error) {
            Some((status, way_out)) => {
                RegistryError::Refused { image, registry, status, way_out, source: Box::new(error) }
            }
            None => RegistryError::Answer { image, registry, reason: error.to_string() },
        }
    }

    pub(crate) fn misunderstood(self, reason: impl Into<String>) -> RegistryError {
        let (image, registry) = (self.image.to_owned(), self.registry.to_owned());
        RegistryError::Answer { image, registry, reason: reason.into() }
    }
}

impl RegistryError {
    /// Whether a registry says that the image does not exist, by a code of the distribution specification. A registry that cannot
    /// say so is another thing, and so is whoever answers in its place: that of a proxy to a registry that is away is 404, too.
    pub fn is_not_found(&self) -> bool {
        let Self::Refused { source, .. } = self else { return false };
        match source.as_ref() {
            OciDistributionError::ImageManifestNotFoundError(_) => true,
            OciDistributionError::RegistryError { envelope, .. } => envelope.errors.first().is_some_and(is_unknown),
            _ => false,
        }
    }

    /// Whether the answer is 404 without a word of a registry: registries may give none, and others never have one.
    pub(crate) fn is_wordless(&self) -> bool {
        let Self::Refused { source, .. } = self else { return false };
        matches!(source.as_ref(), OciDistributionError::ServerError { code: 404, .. })
    }
}

/// Whether a registry says that it does not have an image, its repository, or, as Harbor does, the project.
fn is_unknown(error: &OciError) -> bool {
    matches!(error.code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound)
}

const CHECK_CREDENTIALS: &str = "check the credentials in the secret, and what they are allowed to do there";
const CHECK_NAME: &str = "check the name of the image";
const CHECK_REGISTRY: &str = "check the name of the image, and that it is the registry that answers there";
const TRY_AGAIN: &str = "it is tried again";

/// The HTTP status of an answer, and what to do about it.
fn status(error: &OciDistributionError) -> Option<(String, &'static str)> {
    let (status, way_out) = match error {
        OciDistributionError::UnauthorizedError { .. } => ("401 Unauthorized".to_owned(), CHECK_CREDENTIALS),
        OciDistributionError::AuthenticationFailure(said) => (quoted("401 Unauthorized", said), CHECK_CREDENTIALS),
        OciDistributionError::ImageManifestNotFoundError(said) => (quoted("404 Not Found", said), CHECK_NAME),
        OciDistributionError::ServerError { code, message, .. } => {
            let way_out = match code {
                401 | 403 => CHECK_CREDENTIALS,
                404 => CHECK_REGISTRY,
                _ => TRY_AGAIN,
            };
            (quoted(&code.to_string(), message), way_out)
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let first = envelope.errors.first()?;
            let (code, way_out) = match first.code {
                _ if is_unknown(first) => ("404 Not Found", CHECK_NAME),
                OciErrorCode::Unauthorized => ("401 Unauthorized", CHECK_CREDENTIALS),
                OciErrorCode::Denied => ("403 Forbidden", CHECK_CREDENTIALS),
                OciErrorCode::Toomanyrequests => ("429 Too Many Requests", TRY_AGAIN),
                _ => ("an error", TRY_AGAIN),
            };
            (quoted(code, &first.message), way_out)
        }
        _ => return None,
    };
    Some((status, way_out))
}

/// A status, and what the registry said to it, if it said anything.
fn quoted(status: &str, said: &str) -> String {
    match said.trim() {
        "" => status.to_owned(),
        said => format!("{status}: {said}"),
    }
}

/// An error and its causes, from the outside in. An error of the system that carries another one passes it over as its source.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(system) => system.get_ref().map(|carried| carried as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// The innermost of the causes of an error.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.to_string().contains("certificate"))
}

/// Whether a certificate is refused that was valid, or will be.
fn is_about_time(error: &(dyn Error + 'static)) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let refused = causes(error).find_map(refusal);
    matches!(refused, Some(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }))
}

/// Why TLS refuses a certificate, where an error is that.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::CertificateError> {
    match error.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(refused)) => Some(refused),
        _ => None,
    }
}
