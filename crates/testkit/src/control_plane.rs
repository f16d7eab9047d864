//! The lab's control plane: etcd on loopback, the API server on the bridge, controller manager and scheduler, which
//! serve nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use tokio::net::TcpStream;

use crate::client::{self, ClientError};
use crate::control_plane::command_lines::{ApiServer, CommandLineError, Etcd};
use crate::pki::{Pki, PkiError, User};
use crate::process::{self, ProcessError};
use crate::wait::{self, TimedOut};
use crate::{Assets, Layout, network};

pub mod command_lines;

/// The API server's URL.
pub const URL: &str = "https://10.223.0.1:6443";

const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(network::HOST), 6443);
/// Not etcd's usual port: the machine may run one of its own.
const ETCD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 22379);

/// The API server among the daemons.
pub const API_SERVER: &str = "kube-apiserver";
/// The daemons, in the order in which they are started.
pub const DAEMONS: [&str; 4] = ["etcd", API_SERVER, "kube-controller-manager", "kube-scheduler"];

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// A command line could not be put together.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// A kubeconfig could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A daemon did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The controllers do not work.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Starts what does not run, and waits until the API server is ready. The controllers may still be starting, see
/// [`controllers_work`].
pub async fn up(layout: &Layout, assets: &Assets, pki: &Pki) -> Result<Client, ControlPlaneError> {
    let [etcd, api, manager, scheduler] = DAEMONS;
    let line = ApiServer { listen: API, etcd: Etcd { client: ETCD, data: layout.service(etcd), pki } };
    let listens = async || TcpStream::connect(ETCD).await.map(drop).map_err(|error| error.to_string());
    process::ensure(layout, etcd, line.etcd.command(layout).await?, listens).await?;

    pki.ensure_kubeconfig(&layout.kubeconfig(), User::ADMIN, URL)?;
    let client = client::from_file(&layout.kubeconfig()).await?;
    process::ensure(layout, api, line.command(assets)?, async || client::ready(&client).await).await?;

    let kubeconfig = |name: &str| {
        let path = layout.pki().join(format!("{name}.kubeconfig"));
        let user = format!("system:{name}");
        pki.ensure_kubeconfig(&path, User { name: &user, group: None }, URL).map(|()| path)
    };
    let manager_line = command_lines::controller_manager(assets, pki, &kubeconfig(manager)?)?;
    let scheduler_line = command_lines::scheduler(assets, &kubeconfig(scheduler)?)?;
    process::ensure(layout, manager, manager_line, async || Ok(())).await?;
    process::ensure(layout, scheduler, scheduler_line, async || Ok(())).await?;
    Ok(client)
}

/// Waits for the first thing that controllers make and that pods need.
pub async fn controllers_work(client: &Client) -> Result<(), TimedOut> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    wait::until(
        "the service account `default` that the controller manager makes",
        Duration::from_secs(60),
        async || accounts.get_opt("default").await.map(|found| found.map(drop)),
    )
    .await
}
