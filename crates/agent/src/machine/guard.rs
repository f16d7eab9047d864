//! The guard on the machine: the agent installs it, and listens to it.

use camino::Utf8Path;
use onlay_host::root::Access;
use onlay_host::state::{GuardReport, GuardSettings, Quarantine, Quarantined};
use onlay_host::{converge, guard_unit, systemd};

use super::{Error, JournalFile, Machine, check};

/// The guard's program in the agent's own image.
pub const PROGRAM: &str = "/usr/bin/onlay-guard";

impl Machine {
    /// Puts the guard, whose program is at `program` of this process, onto the machine and tells it its deadline.
    pub fn install_guard(&self, program: &Utf8Path, deadline_seconds: u64) -> Result<(), Error> {
        let settings = GuardSettings { deadline_seconds };
        if self.state.load::<GuardSettings>()?.as_ref() != Some(&settings) {
            self.state.save(&settings)?;
        }
        let bytes = std::fs::read(program).map_err(|source| Error::File { path: program.into(), source })?;
        let place = Utf8Path::new(guard_unit::PROGRAM);
        if self.root.read(place)?.as_deref() != Some(bytes.as_slice()) {
            self.root.write(place, &bytes, Access::mine(0o755))?;
        }
        let mut changed = false;
        for unit in [guard_unit::BOOT, guard_unit::WATCH] {
            let outcome = converge::install_unit(self.site(), unit.name, unit.contents)?;
            check("install the guard", &outcome.failed)?;
            changed |= !outcome.changed.is_empty();
        }
        if changed {
            systemd::daemon_reload(self.run.as_ref())?;
        }
        Ok(())
    }

    /// Writes down that the guard went back: the pair is not tried again, and the update is over.
    pub fn note_went_back(&self) -> Result<(), Error> {
        if let Some(report) = self.state.load::<GuardReport>()? {
            let mut list = self.state.load::<Quarantine>()?.unwrap_or_default();
            if list.find(&report.from.digest, &report.config).is_none() {
                let GuardReport { from, config, reason, at, .. } = report;
                list.entries.push(Quarantined { digest: from.digest, config, reason, at });
                self.state.save(&list)?;
            }
        }
        self.state.forget::<JournalFile>()?;
        Ok(self.state.forget::<GuardReport>()?)
    }
}
