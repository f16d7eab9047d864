//! The whole lab: up, down, and what is running.

use std::time::Duration;

use futures::TryFutureExt;
use kube::Client;

use crate::assets::{Assets, AssetsError};
use crate::client::{self, ClientError};
use crate::control_plane::{self, ControlPlaneError};
use crate::dns::{self, DnsError};
use crate::layout::LayoutError;
use crate::lock::{LabLock, LockError};
use crate::network::{self, NetworkError};
use crate::packages::{self, PackagesError};
use crate::pki::{Pki, PkiError};
use crate::process::{self, ProcessError};
use crate::registry::{self, RegistryError};
use crate::teardown::{self, TeardownError};
use crate::wait::TimedOut;
use crate::{Layout, Progress};

/// How long another `up` or `down` may be busy.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// Why the lab is not as wished.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Not root.
    #[error("failed to change this machine: the lab needs root (mounts, network, containers)")]
    NotRoot,
    /// Another run is busy.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The state directory is not usable.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Debian packages are missing.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// Go programs are missing.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// Certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The network could not be set up or removed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The registry does not run.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The control plane does not run.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The controllers do not work.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The cluster has no DNS.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A process could not be stopped.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Files could not be removed.
    #[error(transparent)]
    Teardown(#[from] TeardownError),
}

/// A lab that is up.
pub struct Lab {
    layout: Layout,
    pki: Pki,
    client: Client,
}

impl Lab {
    /// Brings the lab up: what runs already stays, what is missing is made.
    pub async fn up(layout: &Layout, progress: &Progress) -> Result<Self, LabError> {
        require_root()?;
        let _lock = LabLock::acquire(layout, PATIENCE).await?;
        layout.create()?;
        packages::ensure(layout, progress).await?;
        let pki = Pki::ensure(&layout.pki())?;
        progress.step("network", network::up(layout)).await?;
        let registry = progress.step("registry", registry::start(layout, &pki));
        let assets = Assets::ensure(layout, progress);
        let (assets, ()) = futures::try_join!(assets.err_into::<LabError>(), registry.err_into())?;
        let client = progress.step("control plane", control_plane::up(layout, &assets, &pki)).await?;
        let dns = progress.step("DNS", dns::up(layout, &assets, &pki, &client));
        let controllers = progress.step("controllers", control_plane::controllers_work(&client));
        futures::try_join!(dns.err_into::<LabError>(), controllers.err_into())?;
        Ok(Self { layout: layout.clone(), pki, client })
    }

    /// The lab that is up already.
    pub async fn open(layout: &Layout) -> Result<Self, LabError> {
        let client = client::from_file(&layout.kubeconfig()).await?;
        Ok(Self { layout: layout.clone(), pki: Pki::ensure(&layout.pki())?, client })
    }

    /// Where the lab keeps its things.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The lab's certificate authority.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// Takes the lab away: processes, mounts, network, files. What it did not make stays. Nothing of it running is no error.
pub async fn down(layout: &Layout, progress: &Progress) -> Result<(), LabError> {
    require_root()?;
    let _lock = LabLock::acquire(layout, PATIENCE).await?;
    let names = process::names(layout);
    let killed = futures::future::try_join_all(names.iter().map(|name| process::kill(layout, name)));
    progress.step("processes ended", killed).await?;
    progress.step("network removed", network::down(layout)).await?;
    progress.step("files removed", teardown::remove_state(layout)).await?;
    Ok(())
}

fn require_root() -> Result<(), LabError> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}
