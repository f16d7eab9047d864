//! `stage`: prepare the next deployment while the system runs, locked.

use ostree_ext::container::deploy::ORIGIN_CONTAINER;
use ostree_ext::gio::Cancellable;
use ostree_ext::glib::KeyFile;
use ostree_ext::ostree::{Deployment, Sysroot, SysrootDeployTreeOpts};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fetch::{self, Access, Present};
use crate::image::Image;
use crate::{keep, stage_lock, sysroot};

/// Prepare the next deployment, locked: a reboot boots the old system until `unlock`
#[derive(Debug, clap::Args)]
pub struct Stage {
    /// The image, by digest: HOST/REPOSITORY@sha256:…
    #[arg(long)]
    image: Image,
    #[command(flatten)]
    access: Access,
    /// A kernel argument, in order; without any, the booted deployment's are kept
    #[arg(long = "karg", value_name = "ARGUMENT", allow_hyphen_values = true)]
    kargs: Vec<String>,
    /// A deployment that must outlive the next boot although it is not the booted one
    #[arg(long, value_name = "ID")]
    keep: Vec<String>,
}

impl Stage {
    pub async fn run(self) -> Result<Value, Error> {
        let root = sysroot::open_booted("stage")?;
        let booted =
            root.require_booted_deployment().map_err(|source| Error::doing("find the booted system", source))?;
        for id in &self.keep {
            keep::keep(&root, sysroot::find(&root.deployments(), id)?)?;
        }
        let present = fetch::ensure(&root, &self.image, &self.access).await?;
        let kargs = if self.kargs.is_empty() { sysroot::kernel_arguments(&booted) } else { self.kargs };

        let was_locked = stage_lock::is_set();
        stage_lock::set()?;
        let staged = stage(&root, &booted, &self.image, &present, &kargs);
        if staged.is_err() && !was_locked {
            stage_lock::clear()?;
        }
        Ok(json!({ "id": sysroot::id(&staged?), "digest": present.digest }))
    }
}

fn stage(
    root: &Sysroot,
    booted: &Deployment,
    image: &Image,
    present: &Present,
    kargs: &[String],
) -> Result<Deployment, Error> {
    let origin = KeyFile::new();
    origin.set_string("origin", ORIGIN_CONTAINER, &image.reference().to_string());
    let kargs: Vec<&str> = kargs.iter().map(String::as_str).collect();
    let options = SysrootDeployTreeOpts { override_kernel_argv: Some(&kargs), ..Default::default() };
    root.stage_tree_with_options(
        Some(&booted.osname()),
        &present.commit,
        Some(&origin),
        root.merge_deployment(Some(&booted.osname())).as_ref(),
        &options,
        Cancellable::NONE,
    )
    .map_err(|source| Error::doing(format!("stage {image}"), source))
}
