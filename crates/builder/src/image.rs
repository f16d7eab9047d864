//! From the input to the pushed image.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::assemble::{self, Assembled, Configs, ContextFile};
use onlay_core::build::containerfile::{self, Containerfile};
use onlay_core::build::inputs::repository;
use onlay_core::build::layer::{self, Base as _, Plan};
use onlay_core::build::progress::{CHECKING, PULLING, PUSHING};
use onlay_core::build::spec::{Cause, Failure, Spec};
use onlay_registry::ostree_fault;

use crate::archive;
use crate::buildah::{Buildah, Mounted};
use crate::error::Error;
use crate::input::{self, Input};
use crate::paths::Paths;
use crate::registries::Registries;
use crate::report::say;
use crate::seal;

/// Name of the image in buildah's storage.
const IMAGE: &str = "localhost/onlay:image";
/// Name of the generated Containerfile in the context.
const CONTAINERFILE: &str = ".onlay/Containerfile";

/// Builds and pushes the image, and gives it by digest.
pub fn build(paths: &Paths) -> Result<String, Error> {
    let Input { spec, desired } = input::read(paths)?;
    let file = read(&spec)?;
    say(format!("building {} from {} for {}", spec.build, spec.base, spec.rendered));
    let registries = Registries::prepare(paths, &spec.pull_secret, &spec.push_secret)?;
    let buildah = Buildah::new(paths, &registries)?;
    say(format!("{PULLING}{}", spec.base));
    buildah.pull(&spec.base, &spec.pull_secret)?;
    check_base(&buildah, &spec.base)?;
    let base = buildah.open(&spec.base, "onlay-base")?;
    let plan = layer::plan(&desired, &base.rootfs)?;
    let context = paths.below_work("context");
    let containerfile = write_context(&context, &spec, file.as_ref(), &plan, &base)?;
    buildah.build(&context, &containerfile, IMAGE, file.as_ref())?;
    if file.is_some() {
        say(format!("{CHECKING}what the Containerfile made of the configuration"));
        let built = buildah.open(IMAGE, "onlay-built")?;
        if seal::seal(&plan, &base.rootfs, &built.rootfs)? {
            buildah.commit(&built, IMAGE)?;
        }
        buildah.close(built)?;
    }
    buildah.close(base)?;
    say(format!("{PUSHING}{}", spec.target));
    let digest = buildah.push(IMAGE, &spec.target, &spec.push_secret)?;
    Ok(format!("{}@{digest}", repository(&spec.target)))
}

fn read(spec: &Spec) -> Result<Option<Containerfile>, Error> {
    let Some(text) = &spec.containerfile else { return Ok(None) };
    let refuse =
        |error: containerfile::ContainerfileError| Error::Build(Failure::new(Cause::InputRefused, error.to_string()));
    containerfile::parse(text).map_err(refuse)
}

fn check_base(buildah: &Buildah, base: &str) -> Result<(), Error> {
    match ostree_fault(base, &buildah.labels(base)?) {
        None => Ok(()),
        Some(fault) => Err(Error::Build(Failure::new(Cause::BaseImageNotOstree, fault))),
    }
}

/// Writes everything that buildah reads, and gives the path of the Containerfile.
fn write_context(
    context: &Utf8Path,
    spec: &Spec,
    file: Option<&Containerfile>,
    plan: &Plan,
    base: &Mounted,
) -> Result<Utf8PathBuf, Error> {
    let layer = !plan.entries.is_empty();
    let dpkg = base.rootfs.entry(Utf8Path::new("/usr/bin/dpkg")).is_some();
    let Assembled { text, files } = assemble::assemble(Configs { base: &spec.base, layer, dpkg }, file);
    let path = context.join(CONTAINERFILE);
    write(&path, &text)?;
    for ContextFile { path, contents, executable } in &files {
        let path = context.join(path);
        write(&path, contents)?;
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))?;
    }
    if layer {
        let unknown = archive::write(plan, &base.rootfs, &context.join(assemble::LAYER))?;
        say(format!("the configuration puts {} paths into the image", plan.baked.len()));
        for name in unknown {
            say(format!("the base image has no user or group {name}: its files are root's in the image, not on nodes"));
        }
    }
    Ok(path)
}

fn write(path: &Utf8Path, text: &str) -> Result<(), Error> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    }
    fs::write(path, text).map_err(Error::file("write", path))
}
