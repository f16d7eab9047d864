//! What user layers bring and nodes that exist would not get: accounts and /var, declared in the image for systemd.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;
use onlay_core::build::accounts::{self, SYSUSERS, Undeclared};
use onlay_core::build::var::{self, Declaration, Left, TMPFILES};

use crate::error::Error;
use crate::report::say;
use crate::rootfs::Rootfs;

/// Where files of sysusers.d(5) and tmpfiles.d(5) lie in an image.
const SYSUSERS_DIRECTORIES: [&str; 2] = ["/etc/sysusers.d", "/usr/lib/sysusers.d"];
const TMPFILES_DIRECTORIES: [&str; 2] = ["/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"];
const VAR: &str = "/var";

/// Accounts of a built image that neither its base has nor a file of sysusers.d(5) tells.
pub fn undeclared_accounts(base: &Rootfs, built: &Rootfs) -> Result<Undeclared, Error> {
    let told = built.texts(&SYSUSERS_DIRECTORIES, ".conf")?;
    Ok(accounts::undeclared(&base.accounts()?, &built.accounts()?, &told))
}

/// What lies in /var of a built image, and neither its base has nor a file of tmpfiles.d(5) tells.
pub fn undeclared_var(base: &Rootfs, built: &Rootfs) -> Result<Declaration, Error> {
    let told = built.texts(&TMPFILES_DIRECTORIES, ".conf")?;
    let new = |left: &Left| base.metadata(&left.path).is_none();
    let left: Vec<Left> = built.below(Utf8Path::new(VAR))?.into_iter().filter(new).collect();
    Ok(var::declare(&left, &built.accounts()?, &told))
}

/// Declares both in a built image, and says whether anything was to do.
///
/// What cannot be declared is left for the check of the image.
pub fn declare(base: &Rootfs, built: &Rootfs) -> Result<bool, Error> {
    let accounts = undeclared_accounts(base, built)?.lines;
    append(SYSUSERS, &accounts, built)?;
    let Declaration { lines, moved, lost } = undeclared_var(base, built)?;
    if !lost.is_empty() {
        return Ok(!accounts.is_empty());
    }
    for path in &moved {
        move_away(path, built)?;
        say(format!("{path} is moved below /usr: nodes that do not have it get it at boot, once"));
    }
    append(TMPFILES, &lines, built)?;
    Ok(!accounts.is_empty() || !lines.is_empty())
}

fn append(file: &str, lines: &[String], built: &Rootfs) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let earlier = built.text(Utf8Path::new(file))?.unwrap_or_default();
    let path = built.at(Utf8Path::new(file));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    }
    fs::write(&path, earlier + &text).map_err(Error::file("write", &path))?;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(Error::file("set the mode of", path))
}

/// Takes a link or a file out of /var; a file goes where its line of tmpfiles.d(5) finds it.
fn move_away(path: &Utf8Path, built: &Rootfs) -> Result<(), Error> {
    let (from, to) = (built.at(path), built.at(&var::copy_of(path)));
    if !from.is_symlink() {
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        }
        fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
    }
    fs::remove_file(&from).map_err(Error::file("remove", from))
}
