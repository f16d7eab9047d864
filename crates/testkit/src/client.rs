//! Clients of an API server, made from kubeconfigs.

use camino::{Utf8Path, Utf8PathBuf};
use kube::api::{GetParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig is missing or wrong.
    #[error("failed to read the kubeconfig {path}; is the lab up?")]
    Kubeconfig {
        /// Where it came from.
        path: Utf8PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// The client could not be made.
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
}

/// A client from a kubeconfig file.
pub async fn from_file(path: &Utf8Path) -> Result<Client, ClientError> {
    from_kubeconfig(Kubeconfig::read_from(path), path).await
}

/// A client from the text of a kubeconfig.
pub async fn from_text(text: &str) -> Result<Client, ClientError> {
    from_kubeconfig(Kubeconfig::from_yaml(text), Utf8Path::new("(made for this client)")).await
}

async fn from_kubeconfig(read: Result<Kubeconfig, KubeconfigError>, path: &Utf8Path) -> Result<Client, ClientError> {
    let wrong = |source| ClientError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(read.map_err(wrong)?, &options).await.map_err(wrong)?;
    Client::try_from(config).map_err(|source| ClientError::Client(Box::new(source)))
}

/// Whether the API server says of itself that it is ready; else why not, in its own words.
pub async fn ready(client: &Client) -> Result<(), String> {
    let request = Request::new("").get("readyz", &GetParams::default()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}
