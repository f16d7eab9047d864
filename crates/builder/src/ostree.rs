//! `ostree container commit` for base images whose ostree does not have it, so that Containerfiles of guides work there.
//!
//! Source of what it does: ostree-ext 0.15, which programs with `ostree container` are made of: it empties these directories, and leaves
//! what is mounted. ostree looks for commands that it does not have in a directory of their own, and gives them
//! all of its arguments.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::layer::Base as _;

use crate::error::Error;
use crate::extras::Bound;
use crate::paths::Paths;
use crate::rootfs::Rootfs;

/// Where ostree looks for the command `container`.
pub const CONTAINER: &str = "/usr/libexec/libostree/ext/ostree-container";

/// What stands there while a build goes on.
const SCRIPT: &str = r#"#!/bin/sh
if [ "$*" != "container commit" ]; then
    echo "ostree: of \`ostree container\` there is only \`ostree container commit\` here, not \`ostree $*\`" >&2
    exit 2
fi
for directory in /run /tmp /var/tmp /var/cache; do
    [ -d "$directory" ] || continue
    find "$directory" -xdev -mindepth 1 -exec mountpoint -q {} \; -prune -o ! -type d -exec rm -f {} + || exit
    find "$directory" -xdev -mindepth 1 -depth -type d -empty ! -exec mountpoint -q {} \; -delete || exit
done
"#;

/// The command, as a file to bind, if a Containerfile asks for it and the base image has ostree without it.
pub fn container(paths: &Paths, file: Option<&Containerfile>, base: &Rootfs) -> Result<Option<Bound>, Error> {
    let has = |path: &str| base.entry(Utf8Path::new(path)).is_some();
    let is_asked = file.is_some_and(|file| file.mentions("ostree container commit"));
    if !is_asked || !has("/usr/bin/ostree") || has(CONTAINER) {
        return Ok(None);
    }
    let directory = paths.below_work("ostree-container");
    fs::write(&directory, SCRIPT).map_err(Error::file("write", &directory))?;
    let mode = Permissions::from_mode(0o755);
    fs::set_permissions(&directory, mode).map_err(Error::file("set the mode of", &directory))?;
    Ok(Some(Bound { directory, path: CONTAINER.into(), writable: false }))
}
