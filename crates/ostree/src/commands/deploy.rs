//! `deploy`: the first installation, into a sysroot that is not booted.

use std::path::PathBuf;

use ostree_ext::container::deploy::ORIGIN_CONTAINER;
use ostree_ext::gio::Cancellable;
use ostree_ext::glib::KeyFile;
use ostree_ext::ostree::{Deployment, Sysroot, SysrootDeployTreeOpts, SysrootSimpleWriteDeploymentFlags};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fetch::{self, Access, Present};
use crate::image::Image;
use crate::sysroot;

/// Install an image into a sysroot that is not booted; the sysroot is made if it does not exist
#[derive(Debug, clap::Args)]
pub struct Deploy {
    /// The sysroot: the directory that becomes the root of a disk
    #[arg(long, value_name = "DIR")]
    sysroot: PathBuf,
    /// The state root, the name that groups deployments with one /var
    #[arg(long, value_name = "NAME")]
    stateroot: String,
    /// The image, by digest: HOST/REPOSITORY@sha256:…, or oci:DIRECTORY
    #[arg(long)]
    image: Image,
    #[command(flatten)]
    access: Access,
    /// A kernel argument, in order
    #[arg(long = "karg", value_name = "ARGUMENT", allow_hyphen_values = true)]
    kargs: Vec<String>,
}

impl Deploy {
    pub async fn run(self) -> Result<Value, Error> {
        let root = sysroot::open_offline(&self.sysroot)?;
        self.prepare(&root)?;
        let present = fetch::ensure(&root, &self.image, &self.access).await?;
        let deployment = self.deploy(&root, &present)?;
        Ok(json!({ "id": sysroot::id(&deployment), "digest": present.digest }))
    }

    /// Makes the state root. The boot entries alone say what boots: no boot loader's own configuration is written.
    fn prepare(&self, root: &Sysroot) -> Result<(), Error> {
        if self.sysroot.join("ostree/deploy").join(&self.stateroot).exists() {
            return Ok(());
        }
        let repo = root.repo();
        let config = repo.copy_config();
        config.set_string("sysroot", "bootloader", "none");
        repo.write_config(&config)
            .and_then(|()| repo.reload_config(Cancellable::NONE))
            .and_then(|()| root.init_osname(&self.stateroot, Cancellable::NONE))
            .map_err(|source| Error::doing(format!("make the state root {}", self.stateroot), source))
    }

    fn deploy(&self, root: &Sysroot, present: &Present) -> Result<Deployment, Error> {
        let origin = KeyFile::new();
        origin.set_string("origin", ORIGIN_CONTAINER, &self.image.reference().to_string());
        let kargs: Vec<&str> = self.kargs.iter().map(String::as_str).collect();
        let options = SysrootDeployTreeOpts { override_kernel_argv: Some(&kargs), ..Default::default() };
        let merge = root.merge_deployment(Some(&self.stateroot));
        let deployed = root.deploy_tree_with_options(
            Some(&self.stateroot),
            &present.commit,
            Some(&origin),
            merge.as_ref(),
            Some(&options),
            Cancellable::NONE,
        );
        let flags = SysrootSimpleWriteDeploymentFlags::NONE;
        deployed
            .and_then(|new| {
                root.simple_write_deployment(Some(&self.stateroot), &new, merge.as_ref(), flags, Cancellable::NONE)?;
                Ok(new)
            })
            .map_err(|source| Error::doing(format!("deploy {} into {}", self.image, self.sysroot.display()), source))
    }
}
