//! A real API server with etcd on its own, for tests that need no nodes: free ports of loopback, a temporary
//! directory, no root.
//!
//! It ends when it is dropped, and also when the process that started it ends in any way, so a test binary may share one
//! in a static. There is no controller manager: nothing collects garbage, namespaces stay in `Terminating`, and pods need
//! no service account.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use kube::Client;

use crate::assets::{Assets, AssetsError};
use crate::client::{self, ClientError};
use crate::control_plane::command_lines::{self, CommandLineError, Etcd};
use crate::layout::LayoutError;
use crate::pki::{Pki, PkiError, User};
use crate::tether::{self, Tether};
use crate::wait::{self, TimedOut};
use crate::{Layout, Progress, process};

/// How long etcd and the API server may take to come up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A free port can be taken by somebody else before the server binds it.
const ATTEMPTS: usize = 3;

/// Why there is no API server.
#[derive(Debug, thiserror::Error)]
pub enum ApiServerError {
    /// Directories are not usable.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A program is missing.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A command line could not be put together.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// A directory, port or process could not be had.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// etcd or the API server ended at once.
    #[error("failed to start the API server: {program} ended; its last words: {log}")]
    Ended {
        /// Which one.
        program: &'static str,
        /// The end of its log.
        log: String,
    },
    /// It did not come up.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// A client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A running API server.
pub struct ApiServer {
    url: String,
    pki: Pki,
    kubeconfig: Utf8PathBuf,
    api: Tether,
    etcd: Tether,
}

impl ApiServer {
    /// Starts one and waits until it is ready (about 3 s). The first time on a machine it builds Kubernetes.
    pub async fn start() -> Result<Self, ApiServerError> {
        let layout = Layout::from_environment()?;
        let assets = Assets::ensure_kubernetes(&layout, &Progress::stderr()).await?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&layout, &assets).await {
                Err(ended @ ApiServerError::Ended { .. }) => last = Some(ended),
                other => return other,
            }
        }
        Err(last.unwrap_or(ApiServerError::Ended { program: "kube-apiserver", log: String::new() }))
    }

    async fn attempt(layout: &Layout, assets: &Assets) -> Result<Self, ApiServerError> {
        let io = |what| move |source| ApiServerError::Io { what, source };
        let (directory, path) = tether::directory("onlay-api-").map_err(io("make a directory"))?;
        let pki = Pki::ensure(&path.join("pki"))?;
        let (listen, client) = free_ports().map_err(io("find free ports"))?;
        let url = format!("https://{listen}");
        let kubeconfig = path.join("kubeconfig");
        pki.ensure_kubeconfig(&kubeconfig, User::ADMIN, &url)?;

        let lines = command_lines::ApiServer { listen, etcd: Etcd { client, data: path.join("etcd"), pki: &pki } };
        let log = |name: &str| std::fs::File::create(path.join(name));
        let mut api = lines.command(assets)?;
        api.args(["--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"]);
        let etcd = lines.etcd.command(layout).await?;
        let etcd_log = log("etcd.log").map_err(io("write etcd's log"))?;
        // From here on etcd's tether removes the directory.
        let etcd = Tether::start(&etcd, etcd_log, Some(path.as_str())).map_err(io("start etcd"))?;
        let _kept = directory.keep();
        let api_log = log("kube-apiserver.log").map_err(io("write the API server's log"))?;
        let api = Tether::start(&api, api_log, None).map_err(io("start the API server"))?;
        let mut server = Self { url, pki, kubeconfig, api, etcd };
        server.wait_until_ready(&path).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, directory: &Utf8Path) -> Result<(), ApiServerError> {
        let client = self.client().await?;
        wait::until("the API server to be ready", PATIENCE, async || {
            for (program, tether) in [("etcd", &mut self.etcd), ("kube-apiserver", &mut self.api)] {
                if tether.has_ended() {
                    let log = process::end_of_log(&directory.join(format!("{program}.log")));
                    return Ok(Some(Err(ApiServerError::Ended { program, log })));
                }
            }
            client::ready(&client).await.map(|()| Some(Ok(())))
        })
        .await?
    }

    /// The administrator's kubeconfig file; it goes away with the server.
    pub fn kubeconfig(&self) -> &Utf8Path {
        &self.kubeconfig
    }

    /// The URL, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An administrator's client. It belongs to the runtime it is made in: make one for each test.
    pub async fn client(&self) -> Result<Client, ApiServerError> {
        Ok(client::from_file(&self.kubeconfig).await?)
    }

    /// A client that speaks for `user`, for tests of authorization and admission.
    pub async fn client_as(&self, user: User<'_>) -> Result<Client, ApiServerError> {
        Ok(client::from_text(&self.pki.kubeconfig(user, &self.url)?).await?)
    }
}

/// Two free ports of loopback.
fn free_ports() -> io::Result<(SocketAddr, SocketAddr)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (one, two) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
    Ok((one.local_addr()?, two.local_addr()?))
}

#[cfg(test)]
mod tests;
