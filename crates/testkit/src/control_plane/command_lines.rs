//! The command lines of the control plane's programs, the same for the lab and for an API server on its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::Layout;
use crate::assets::{Assets, AssetsError};
use crate::network::{KUBERNETES_SERVICE, SERVICES};
use crate::packages::{self, PackagesError};
use crate::pki::{Pair, Pki, PkiError, User};

/// Why a command line could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// A certificate is missing.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A Go program is missing.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// A Debian program is missing.
    #[error(transparent)]
    Packages(#[from] PackagesError),
}

/// etcd's client port and the files it keeps; only loopback, only clients with a certificate.
pub struct Etcd<'a> {
    /// Where clients connect.
    pub client: SocketAddr,
    /// The database.
    pub data: Utf8PathBuf,
    /// Its authority.
    pub pki: &'a Pki,
}

impl Etcd<'_> {
    /// The command line. Data is not synced to disk: a lab does not outlive its machine.
    pub async fn command(&self, layout: &Layout) -> Result<Command, CommandLineError> {
        let Pair { certificate, key } = self.pki.ensure_server("etcd", &["localhost"], &[self.client.ip()])?;
        let mut command = Command::new(packages::program(layout, "etcd").await?);
        command.args([
            "--logger=zap".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--enable-grpc-gateway=false".to_owned(),
            format!("--data-dir={}", self.data),
            format!("--listen-client-urls={}", self.url()),
            format!("--advertise-client-urls={}", self.url()),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            format!("--cert-file={certificate}"),
            format!("--key-file={key}"),
            "--client-cert-auth".to_owned(),
            format!("--trusted-ca-file={}", self.pki.ca_file()),
        ]);
        Ok(command)
    }

    fn url(&self) -> String {
        format!("https://{}", self.client)
    }
}

/// Where an API server listens, and what lies behind it.
pub struct ApiServer<'a> {
    /// The only address it listens on.
    pub listen: SocketAddr,
    /// Its database.
    pub etcd: Etcd<'a>,
}

impl ApiServer<'_> {
    /// The command line: authorization by Node and RBAC, NodeRestriction, the default admission plugins, webhooks
    /// reached by the addresses of their pods, kubelets by their internal address with a verified certificate.
    pub fn command(&self, assets: &Assets) -> Result<Command, CommandLineError> {
        let pki = self.etcd.pki;
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let addresses = [self.listen.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(KUBERNETES_SERVICE)];
        let serving = pki.ensure_server("kube-apiserver", &names, &addresses)?;
        let etcd = pki.ensure_client("etcd-client", User { name: "kube-apiserver", group: None })?;
        let kubelet = User { name: "kube-apiserver-kubelet-client", group: Some("system:masters") };
        let kubelet = pki.ensure_client("kubelet-client", kubelet)?;
        let tokens = pki.ensure_token_key()?;
        let ca = pki.ca_file();
        let mut command = Command::new(assets.program("kube-apiserver")?);
        command.args([
            format!("--bind-address={}", self.listen.ip()),
            format!("--advertise-address={}", self.listen.ip()),
            format!("--secure-port={}", self.listen.port()),
            format!("--tls-cert-file={}", serving.certificate),
            format!("--tls-private-key-file={}", serving.key),
            format!("--client-ca-file={ca}"),
            format!("--etcd-servers={}", self.etcd.url()),
            format!("--etcd-cafile={ca}"),
            format!("--etcd-certfile={}", etcd.certificate),
            format!("--etcd-keyfile={}", etcd.key),
            format!("--kubelet-certificate-authority={ca}"),
            format!("--kubelet-client-certificate={}", kubelet.certificate),
            format!("--kubelet-client-key={}", kubelet.key),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-key-file={}", tokens.certificate),
            format!("--service-account-signing-key-file={}", tokens.key),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--enable-aggregator-routing".to_owned(),
            "--allow-privileged".to_owned(),
        ]);
        Ok(command)
    }
}

/// The controller manager. It serves nothing; nodes bring the addresses of their pods themselves. With its usual 20
/// requests a second, making the accounts of its controllers takes 4 s.
pub fn controller_manager(assets: &Assets, pki: &Pki, kubeconfig: &Utf8Path) -> Result<Command, CommandLineError> {
    let mut command = Command::new(assets.program("kube-controller-manager")?);
    command.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={}", pki.ensure_token_key()?.key),
        format!("--root-ca-file={}", pki.ca_file()),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    Ok(command)
}

/// The scheduler. It serves nothing.
pub fn scheduler(assets: &Assets, kubeconfig: &Utf8Path) -> Result<Command, CommandLineError> {
    let mut command = Command::new(assets.program("kube-scheduler")?);
    command.args([
        format!("--kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]);
    Ok(command)
}
