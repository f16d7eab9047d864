//! The whole lab: up, down, and what is running.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryFutureExt;
use futures::future::try_join_all;
use kube::Client;

use crate::assets::{Assets, AssetsError};
use crate::base_image::{self, BaseImageError};
use crate::client::{self, ClientError};
use crate::control_plane::{self, ControlPlaneError};
use crate::dns::{self, DnsError};
use crate::layout::LayoutError;
use crate::lock::{LabLock, LockError};
use crate::network::{self, NetworkError};
use crate::node::cluster::ClusterError;
use crate::node::{self, Node, NodeError};
use crate::packages::{self, PackagesError};
use crate::pki::{Pki, PkiError};
use crate::process::{self, ProcessError};
use crate::programs::{Profile, Programs, ProgramsError};
use crate::registry::{self, RegistryError};
use crate::teardown::{self, TeardownError};
use crate::wait::TimedOut;
use crate::{Kubectl, Layout, Progress, SpoiledRegistry};

/// After this time of waiting for another run, it is said.
const PROMPTLY: Duration = Duration::from_millis(300);
/// How long another `up` or `down` may be busy.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// How long a node may take from its start until it is ready, on a busy machine.
const NODE_READY: Duration = Duration::from_secs(120);

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
    /// The project's programs could not be built.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The base image could not be built or pushed.
    #[error(transparent)]
    BaseImage(#[from] BaseImageError),
    /// A node could not be installed, started or stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node is not part of the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Files could not be removed.
    #[error(transparent)]
    Teardown(#[from] TeardownError),
}

/// Which lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it keeps its things.
    pub layout: Layout,
    /// How many workers there are at least, besides `cp-0`.
    pub workers: u8,
    /// How the programs under test are built.
    pub profile: Profile,
}

impl Options {
    /// Two workers with debug builds, in the places that the environment names.
    pub fn from_environment() -> Result<Self, LayoutError> {
        Ok(Self { layout: Layout::from_environment()?, workers: 2, profile: Profile::default() })
    }
}

/// A lab that is up.
pub struct Lab {
    layout: Layout,
    assets: Assets,
    pki: Pki,
    profile: Profile,
}

impl Lab {
    /// Brings the usual lab of this machine up: what runs already stays, what is missing is made.
    pub async fn up(progress: &Progress) -> Result<Self, LabError> {
        Self::up_with(&Options::from_environment()?, progress).await
    }

    /// Brings a lab up. One that has more workers keeps them.
    pub async fn up_with(options: &Options, progress: &Progress) -> Result<Self, LabError> {
        require_root()?;
        let layout = &options.layout;
        let _lock = lock(layout, progress).await?;
        layout.create()?;
        packages::ensure(layout, progress).await?;
        let pki = Pki::ensure(&layout.pki())?;
        progress.step("network", network::up(layout)).await?;
        let (assets, programs, ()) = futures::try_join!(
            Assets::ensure(layout, progress).err_into::<LabError>(),
            Programs::ensure(options.profile, progress).err_into(),
            progress.step("registry", registry::start(layout, &pki)).err_into(),
        )?;
        let lab = Self { layout: layout.clone(), assets, pki, profile: options.profile };
        let names = lab.names(options.workers);
        let (client, ()) = futures::try_join!(lab.control_plane(progress), lab.install(&names, &programs, progress))?;
        try_join_all(names.iter().map(|name| lab.start(&client, name, progress))).await?;
        Ok(lab)
    }

    /// Where the lab keeps its things.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How the programs under test are built.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The lab's certificate authority.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// An administrator's client. It belongs to the runtime it is made in.
    pub async fn client(&self) -> Result<Client, ClientError> {
        client::from_file(&self.layout.kubeconfig()).await
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> Result<Kubectl, AssetsError> {
        Kubectl::new(&self.layout, &self.assets)
    }

    /// One node.
    pub fn node(&self, name: &str) -> Result<Node, NodeError> {
        Node::new(&self.layout, name)
    }

    /// The names of all workers, in order.
    pub fn workers(&self) -> Vec<String> {
        node::installed(&self.layout).into_iter().filter(|name| name.starts_with("worker-")).collect()
    }

    /// Starts the registry again after [`Lab::stop_registry`].
    pub async fn start_registry(&self) -> Result<(), RegistryError> {
        registry::start(&self.layout, &self.pki).await
    }

    /// Starts the control plane again after [`Lab::kill_api_server`].
    pub async fn start_api_server(&self) -> Result<(), LabError> {
        control_plane::up(&self.layout, &self.assets, &self.pki).await?;
        Ok(())
    }

    /// Kills the API server, as an outage would. What it stored stays.
    pub async fn kill_api_server(&self) -> Result<(), LabError> {
        Ok(process::kill(&self.layout, control_plane::API_SERVER).await?)
    }

    /// Stops the registry, as an outage would. What was pushed stays.
    pub async fn stop_registry(&self) -> Result<(), RegistryError> {
        registry::stop(&self.layout).await
    }

    /// Makes the registry stand still, as long as the answer lives: connections are taken, and nothing is answered.
    pub fn freeze_registry(&self) -> Result<process::Frozen, ProcessError> {
        process::freeze(&self.layout, registry::DAEMON)
    }

    /// Starts a proxy before the registry, which spoils answers on demand. For the cluster it is a second registry, with the same
    /// images, authority and user at another address.
    pub fn spoiled_registry(&self) -> Result<SpoiledRegistry, RegistryError> {
        registry::spoiled(&self.layout, &self.pki)
    }

    /// The nodes that are to run: the installed ones, `cp-0`, and the first `workers` workers.
    fn names(&self, workers: u8) -> Vec<String> {
        let wanted = (0..workers).map(|number| format!("worker-{number}"));
        let all: BTreeSet<_> = node::installed(&self.layout).into_iter().chain(wanted).collect();
        std::iter::once("cp-0".to_owned()).chain(all.into_iter().filter(|name| name != "cp-0")).collect()
    }

    async fn control_plane(&self, progress: &Progress) -> Result<Client, LabError> {
        let Self { layout, assets, pki, .. } = self;
        let client = progress.step("control plane", control_plane::up(layout, assets, pki)).await?;
        let dns = progress.step("DNS", dns::up(layout, assets, pki, &client));
        let controllers = progress.step("controllers", control_plane::controllers_work(&client));
        futures::try_join!(dns.err_into::<LabError>(), controllers.err_into())?;
        Ok(client)
    }

    /// Puts the base image into the registry and gives every node a disk with it.
    async fn install(&self, names: &[String], programs: &Programs, progress: &Progress) -> Result<(), LabError> {
        let layout = &self.layout;
        let (kubelet, kube_proxy) = (self.assets.program("kubelet")?, self.assets.program("kube-proxy")?);
        let ostree = programs.ostree();
        let content = base_image::Programs { kubelet: &kubelet, kube_proxy: &kube_proxy, onlay_ostree: &ostree };
        let image = base_image::ensure(layout, progress, content).await?;
        progress.step("base image pushed", image.push(layout)).await?;
        progress.step("first disk copied", node::prepare(layout, progress, programs, &image)).await?;
        let nodes: Vec<_> = names.iter().map(|name| self.node(name)).collect::<Result<_, _>>()?;
        let disks = try_join_all(nodes.iter().map(|node| node.install(&self.pki)));
        progress.step("all disks copied", disks).await?;
        Ok(())
    }

    /// Boots a node and waits until the cluster says that it is ready.
    async fn start(&self, client: &Client, name: &str, progress: &Progress) -> Result<(), LabError> {
        node::cluster::register(client, name).await?;
        network::route(&network::address_of(name)?).await?;
        let node = self.node(name)?;
        let ready = async {
            node.start().await?;
            node::cluster::ready(client, name, NODE_READY).await.map_err(LabError::from)
        };
        progress.step(&format!("{name} ready"), ready).await
    }
}

/// Takes the lab away: nodes, processes, network, files. What it did not make stays; a lab that is not there is no error.
pub async fn down(layout: &Layout, progress: &Progress) -> Result<(), LabError> {
    require_root()?;
    let _lock = lock(layout, progress).await?;
    progress.step("nodes off", node::power_off_all(layout)).await?;
    let names = process::names(layout);
    let killed = try_join_all(names.iter().map(|name| process::kill(layout, name)));
    progress.step("processes ended", killed).await?;
    progress.step("network removed", network::down(layout)).await?;
    progress.step("files removed", teardown::remove_state(layout)).await?;
    Ok(())
}

fn require_root() -> Result<(), LabError> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

async fn lock(layout: &Layout, progress: &Progress) -> Result<LabLock, LockError> {
    match LabLock::acquire(layout, PROMPTLY).await {
        Err(LockError::TimedOut(_)) => {
            progress.say("waiting for another `up` or `down` to end");
            LabLock::acquire(layout, PATIENCE).await
        }
        done => done,
    }
}
