//! What is accepted but probably not meant: fields without effect, and values that look like mistakes.

use onlay_api::image_name;
use onlay_api::machine_config::MachineConfigSpec;

use super::ignition::types::{Config, File, Unit};
use super::ignition::unit;

/// A field, and what there is to say about it.
pub type Notice = (String, String);

/// Fields that only Butane has, beside those that it spells with an underscore.
const OF_BUTANE: [&str; 3] = ["inline", "local", "trees"];

/// Fields that the specification does not have.
pub fn unknown_fields(paths: Vec<String>) -> impl Iterator<Item = Notice> {
    paths.into_iter().map(|path| {
        let name = path.rsplit('.').next().unwrap_or_default();
        let text = if OF_BUTANE.contains(&name) || name.contains('_') {
            "is ignored: it is a field of Butane files; `onlay butane FILE.bu` writes what a MachineConfig says instead"
        } else {
            "is ignored: nodes have no use for a field of this name"
        };
        (path, text.to_owned())
    })
}

/// Fields of the MachineConfig beside its Ignition configuration.
pub fn of_spec(spec: &MachineConfigSpec) -> impl Iterator<Item = Notice> {
    let fips = spec.fips == Some(true);
    let text = "is recorded only: FIPS mode is chosen when a node is installed";
    let fips = fips.then(|| ("spec.fips".to_owned(), text.to_owned()));
    let image = spec.base_os_extensions_container_image.as_deref().and_then(|image| image_name::parse(image).ok());
    let tagged = image.is_some_and(|image| image.digest.is_none()).then(|| {
        let text = "is named by no digest, and builds with extensions or another kernel refuse that; write REPOSITORY@sha256:DIGEST";
        ("spec.baseOSExtensionsContainerImage".to_owned(), text.to_owned())
    });
    fips.into_iter().chain(tagged)
}

/// Fields of the Ignition configuration.
pub fn of_config(config: &Config) -> impl Iterator<Item = Notice> {
    let files = config.storage.files.iter().enumerate().flat_map(|(index, file)| of_file(index, file));
    files.chain(config.systemd.units.iter().enumerate().filter_map(|(index, unit)| of_unit(index, unit)))
}

fn of_file(index: usize, file: &File) -> impl Iterator<Item = Notice> {
    let overwrite = (file.node.overwrite == Some(false)).then(|| {
        let text = "is ignored: the configuration is the truth about the paths that it names";
        (format!("storage.files[{index}].overwrite"), text.to_owned())
    });
    let mode = file.mode.filter(|mode| *mode > 0o777).and_then(octal_meant).map(|(mode, meant)| {
        let text = format!("{mode} is octal {mode:04o}; if octal {mode:04} is meant, write {meant}");
        (format!("storage.files[{index}].mode"), text)
    });
    overwrite.into_iter().chain(mode)
}

/// The mode that a person meant who typed octal digits as a decimal number, if it looks like that.
fn octal_meant(mode: i64) -> Option<(i64, i64)> {
    let meant = i64::from_str_radix(&mode.to_string(), 8).ok().filter(|meant| *meant <= 0o777)?;
    Some((mode, meant))
}

fn of_unit(index: usize, unit: &Unit) -> Option<Notice> {
    let contents = unit.contents.as_deref().filter(|contents| !contents.is_empty())?;
    let installs = unit::sections(contents).ok()?.iter().any(|section| section == "Install");
    (unit.enabled == Some(true) && !installs).then(|| {
        let text = "has no [Install] section, so enabling the unit has no effect";
        (format!("systemd.units[{index}].contents"), text.to_owned())
    })
}
