//! Everything that buildah reads: Containerfiles, the configuration layer, texts of instructions.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::assemble::{self, Assembled, Configs, ContextFile, Install};
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::layer::{Base as _, Plan};
use onlay_core::build::spec::Spec;

use crate::archive;
use crate::buildah::Mounted;
use crate::error::Error;
use crate::report::say;

/// Names of the generated Containerfiles: of the image, and of the stage `configs` alone.
const CONTAINERFILE: &str = ".onlay/Containerfile";
const CONFIGS: &str = ".onlay/Containerfile.configs";

/// Everything that buildah reads.
#[derive(Debug)]
pub struct Context {
    /// The directory that `ADD` and `COPY` see.
    pub directory: Utf8PathBuf,
    /// The Containerfile.
    pub containerfile: Utf8PathBuf,
    /// The image that the Containerfile begins with, and the Containerfile of that one; none if it begins with the base.
    pub configs: Option<(String, Utf8PathBuf)>,
}

impl Context {
    /// Writes it all.
    ///
    /// The stage `configs` is an image of its own under what the user wrote: only for a whole build buildah can be told the
    /// time of everything that it writes, and equal configurations shall give equal layers.
    pub fn write(
        directory: Utf8PathBuf,
        spec: &Spec,
        file: Option<&Containerfile>,
        plan: &Plan,
        install: Option<&Install>,
        base: &Mounted,
    ) -> Result<Self, Error> {
        let layer = !plan.entries.is_empty();
        let runs = file.is_some() || install.is_some();
        let dpkg = runs && base.rootfs.entry(Utf8Path::new("/usr/bin/dpkg")).is_some();
        let labels = assemble::labels(spec, env!("CARGO_PKG_VERSION"));
        let (rebuilt, mounted) = (spec.rebuilt.as_deref(), spec.extras.mark());
        let mounted = mounted.as_deref();
        let trusted = spec.extras.trusted_ca.is_some();
        let configs = Configs { base: &spec.base, layer, dpkg, rebuilt, mounted, trusted, install, labels: &labels };
        let archive = if layer { write_layer(&directory, plan, base)? } else { Vec::new() };
        let mut image = None;
        if runs && (layer || dpkg) {
            let text = assemble::configs(configs);
            let path = directory.join(CONFIGS);
            write(&path, &text)?;
            image = Some((assemble::configs_image(&text, &archive), path));
        }
        let name = image.as_ref().map(|(name, _)| name.as_str());
        let Assembled { text, files } = assemble::assemble(configs, name, file);
        let containerfile = directory.join(CONTAINERFILE);
        write(&containerfile, &text)?;
        for file in &files {
            write_file(&directory, file)?;
        }
        Ok(Self { directory, containerfile, configs: image })
    }
}

/// Writes the configuration layer, and gives its bytes.
fn write_layer(directory: &Utf8Path, plan: &Plan, base: &Mounted) -> Result<Vec<u8>, Error> {
    let path = directory.join(assemble::LAYER);
    make_room(&path)?;
    let unknown = archive::write(plan, &base.rootfs, &path)?;
    say(format!("the configuration puts {} paths into the image", plan.baked.len()));
    for name in unknown {
        say(format!("the base image has no user or group {name}: its files are root's in the image, not on nodes"));
    }
    fs::read(&path).map_err(Error::file("read", path))
}

fn write_file(directory: &Utf8Path, file: &ContextFile) -> Result<(), Error> {
    let path = directory.join(&file.path);
    write(&path, &file.contents)?;
    let mode = if file.executable { 0o755 } else { 0o644 };
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))
}

fn write(path: &Utf8Path, text: &str) -> Result<(), Error> {
    make_room(path)?;
    fs::write(path, text).map_err(Error::file("write", path))
}

fn make_room(path: &Utf8Path) -> Result<(), Error> {
    let Some(directory) = path.parent() else { return Ok(()) };
    fs::create_dir_all(directory).map_err(Error::file("create", directory))
}
