//! The parts of a build: one image for each architecture of the pool's nodes, each made by a Job of its own.
//!
//! A build for nodes of one architecture has one part, whose image is that of the build. The images of several parts are joined
//! by an image index (OCI image specification), which is the image of the build: who pulls it gets the image for the own
//! architecture.

use std::collections::BTreeSet;

use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::names;

/// Architecture of nodes that do not say which one they have.
pub const ARCHITECTURE: &str = "amd64";
/// Longest name of a Job, which is the value of a label of its pods.
const MAX_JOB: usize = 63;

/// A part of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Architecture of the nodes that it is for, as Kubernetes names it.
    pub architecture: String,
    /// Name of its Job.
    pub job: String,
    /// Name of the ConfigMap that tells the Job what to do; no other build's has it, not even one of the same name.
    ///
    /// A kubelet keeps an immutable ConfigMap for as long as a pod on its node names it, so that the pod of a build made anew
    /// would be given the one of the build before.
    pub config_map: String,
    /// Where its image is pushed, with the tag.
    pub target: String,
}

impl Part {
    /// The parts of a build, sorted by architecture; never none.
    pub fn of(build: &MachineOSBuild) -> Vec<Self> {
        let name = build.metadata.name.as_deref().unwrap_or_default();
        let architectures = architectures(build);
        let is_only = architectures.len() == 1;
        let part = |architecture: String| {
            let suffix = if is_only { String::new() } else { format!("-{architecture}") };
            let target = format!("{}{suffix}", build.spec.rendered_image_push_spec);
            let job = job_name(name, &suffix);
            let config_map = format!("{job}-{}", build.metadata.uid.as_deref().unwrap_or_default());
            Self { job, config_map, target, architecture }
        };
        architectures.into_iter().map(part).collect()
    }
}

/// The architectures of the nodes that a build is for.
pub fn architectures(build: &MachineOSBuild) -> BTreeSet<String> {
    let annotations = build.metadata.annotations.as_ref();
    let noted = annotations.and_then(|annotations| annotations.get(names::ARCHITECTURES_ANNOTATION));
    noted.map_or_else(|| [ARCHITECTURE.to_owned()].into(), |noted| read(noted))
}

/// Architectures as an annotation has them.
pub fn write(architectures: &BTreeSet<String>) -> String {
    architectures.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The architectures of an annotation.
pub fn read(annotation: &str) -> BTreeSet<String> {
    annotation.split(',').map(str::to_owned).collect()
}

/// The name of a Job: `build-<machineosbuild>`, and behind it the architecture, if there are several.
///
/// The middle is left out where that would be too long for a Job.
fn job_name(build: &str, suffix: &str) -> String {
    let name = names::build_job(&format!("{build}{suffix}"));
    if name.len() <= MAX_JOB {
        return name;
    }
    let (config, hash) = build.rsplit_once('-').unwrap_or((build, ""));
    let room = MAX_JOB.saturating_sub("build--".len() + hash.len() + suffix.len());
    let config = config.get(..config.floor_char_boundary(room)).unwrap_or_default();
    names::build_job(&format!("{}-{hash}{suffix}", config.trim_end_matches(['-', '.'])))
}

#[cfg(test)]
mod tests {
    use onlay_api::machine_os_build::{MachineOSBuildSpec, OSConfigReference, RenderedConfigReference};
    use rstest::rstest;

    use super::*;

    const HASH: &str = "5d5651f25efcbf89dd1d2874ad05c8c1";

    fn build(config: &str, architectures: Option<&str>) -> MachineOSBuild {
        let name = format!("{config}-{HASH}");
        let spec = MachineOSBuildSpec {
            machine_config: RenderedConfigReference { name: "rendered-worker-31fc".to_owned() },
            machine_os_config: OSConfigReference { name: config.to_owned() },
            rendered_image_push_spec: format!("registry.example.com/os/image:{name}"),
        };
        let mut build = MachineOSBuild::new(&name, spec);
        let noted = architectures.map(|noted| (names::ARCHITECTURES_ANNOTATION.to_owned(), noted.to_owned()));
        build.metadata.annotations = noted.map(|noted| [noted].into());
        build.metadata.uid = Some("3f2a".to_owned());
        build
    }

    #[rstest]
    #[case::that_says_nothing(None, "amd64")]
    #[case::for_one_architecture(Some("arm64"), "arm64")]
    fn a_build_of_one_part_keeps_its_names(#[case] noted: Option<&str>, #[case] architecture: &str) {
        let [part] = Part::of(&build("worker", noted)).try_into().unwrap();
        let job = format!("build-worker-{HASH}");
        let target = format!("registry.example.com/os/image:worker-{HASH}");
        let config_map = format!("{job}-3f2a");
        assert_eq!(part, Part { architecture: architecture.to_owned(), job, config_map, target });
    }

    #[rstest]
    #[case::as_the_seeds_show("worker-automount", "build-worker-automount-5d5651f25efcbf89dd1d2874ad05c8c1")]
    #[case::shortened(
        "a-pool-with-a-name-that-is-too-long",
        "build-a-pool-with-a-name-that-5d5651f25efcbf89dd1d2874ad05c8c1"
    )]
    #[case::shortened_at_a_dash(
        "pool-with-a-long-name-xx-is-too-long",
        "build-pool-with-a-long-name-xx-5d5651f25efcbf89dd1d2874ad05c8c1"
    )]
    fn a_job_has_the_name_of_its_build(#[case] config: &str, #[case] expected: &str) {
        assert_eq!(Part::of(&build(config, None))[0].job, expected);
    }

    #[test]
    fn several_parts_have_their_architecture_in_their_names() {
        let parts = Part::of(&build("worker", Some("amd64,arm64")));
        let names: Vec<_> = parts.iter().map(|part| (part.job.as_str(), part.target.as_str())).collect();
        let job = |architecture: &str| format!("build-worker-{HASH}-{architecture}");
        let target = |architecture: &str| format!("registry.example.com/os/image:worker-{HASH}-{architecture}");
        assert_eq!(
            names,
            [(job("amd64").as_str(), target("amd64").as_str()), (job("arm64").as_str(), target("arm64").as_str())]
        );
    }

    #[rstest]
    #[case::of_one_part(None)]
    #[case::of_several(Some("amd64,ppc64le"))]
    fn a_job_has_a_name_that_a_label_takes(#[case] architectures: Option<&str>) {
        let config = "a-pool-whose-name.is-so-long-that-nothing-else-would-fit";
        for part in Part::of(&build(config, architectures)) {
            assert!(part.job.len() <= MAX_JOB && part.job.contains(HASH), "{}", part.job);
            assert!(architectures.is_none() || part.job.ends_with(&part.architecture), "{}", part.job);
        }
    }
}
