//! MachineOSConfig.

use onlay_api::machine_os_config::{
    Containerfile, ContainerfileArch, ImageBuilder, ImageBuilderType, MachineOSConfig, MachineOSConfigSpec,
    MachineOSConfigStatus,
};
use onlay_api::names;
use onlay_api::reference::{NameReference, ObjectStatusReference};
use onlay_api::v1alpha1::{self as older, BuildInputs, BuildOutputs, ContainerfileArch as OlderArch, HostNamed, Named};
use serde::{Deserialize, Serialize};

use super::{Convert, Refusal};

/// Characters of a Containerfile that version v1 holds (`maxLength` of its schema).
const MAX_CONTENT: usize = 4096;
/// Containerfiles that version v1 holds (`maxItems` of its schema).
const MAX_FILES: usize = 4;
/// The list of Containerfiles in version v1alpha1.
const FILES: &str = "spec.buildInputs.containerFile";

/// MachineOSConfig.
pub(super) struct OsConfig;

/// What only version v1alpha1 has a field for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The base image, by digest.
    #[serde(default, rename = "baseOSImagePullspec", skip_serializing_if = "Option::is_none")]
    pub base_image: Option<String>,
    /// The image with its extensions, by digest.
    #[serde(default, rename = "baseOSExtensionsImagePullspec", skip_serializing_if = "Option::is_none")]
    pub extensions_image: Option<String>,
    /// The release that the base image is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_version: Option<String>,
    /// What nodes need to pull the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_outputs: Option<BuildOutputs>,
    /// Architectures that are spelled as the kernel does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spellings: Vec<OlderArch>,
}

/// What only version v1 has a field for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Newer {
    #[serde(default, rename = "machineOSBuild", skip_serializing_if = "Option::is_none")]
    machine_os_build: Option<ObjectStatusReference>,
}

/// What a MachineOSConfig that was written in version v1alpha1 says beyond the fields of v1; an error if somebody else wrote
/// the annotation.
pub fn kept(config: &MachineOSConfig) -> Result<Kept, serde_json::Error> {
    let annotations = config.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(names::KEPT_V1ALPHA1_ANNOTATION));
    text.map_or_else(|| Ok(Kept::default()), |text| serde_json::from_str(text))
}

impl Convert for OsConfig {
    type OlderSpec = older::MachineOSConfigSpec;
    type OlderStatus = older::MachineOSConfigStatus;
    type Spec = MachineOSConfigSpec;
    type Status = MachineOSConfigStatus;
    type OlderOnly = Kept;
    type NewerOnly = Newer;

    fn up(
        spec: Self::OlderSpec,
        status: Option<Self::OlderStatus>,
        kept: Newer,
    ) -> Result<(Self::Spec, Option<Self::Status>, Kept), Refusal> {
        let inputs = spec.build_inputs;
        refuse(&inputs.container_file)?;
        let archs = inputs.container_file.iter().map(|file| file.containerfile_arch);
        let spellings = archs.filter(|arch| spelled(newer(*arch), &[]) != *arch).collect();
        let older_only = Kept {
            base_image: inputs.base_os_image_pullspec,
            extensions_image: inputs.base_os_extensions_image_pullspec,
            release_version: inputs.release_version,
            build_outputs: spec.build_outputs,
            spellings,
        };
        let files = inputs.container_file.into_iter();
        let spec = MachineOSConfigSpec {
            machine_config_pool: NameReference::new(spec.machine_config_pool.name),
            image_builder: ImageBuilder { image_builder_type: ImageBuilderType::Job },
            base_image_pull_secret: inputs.base_image_pull_secret.map(|secret| NameReference::new(secret.name)),
            rendered_image_push_secret: NameReference::new(inputs.rendered_image_push_secret.name),
            rendered_image_push_spec: inputs.rendered_image_pushspec,
            container_file: files
                .map(|file| Containerfile { containerfile_arch: newer(file.containerfile_arch), content: file.content })
                .collect(),
        };
        let status = status.map(|status| MachineOSConfigStatus {
            observed_generation: status.observed_generation,
            conditions: status.conditions,
            current_image_pull_spec: status.current_image_pullspec,
            machine_os_build: kept.machine_os_build,
        });
        Ok((spec, status, older_only))
    }

    fn down(
        spec: Self::Spec,
        status: Option<Self::Status>,
        kept: Kept,
    ) -> (Self::OlderSpec, Option<Self::OlderStatus>, Newer) {
        let files = spec.container_file.into_iter();
        let inputs = BuildInputs {
            base_os_image_pullspec: kept.base_image,
            base_os_extensions_image_pullspec: kept.extensions_image,
            base_image_pull_secret: spec.base_image_pull_secret.map(|secret| Named { name: secret.name }),
            image_builder: older::ImageBuilder { image_builder_type: older::ImageBuilderType::PodImageBuilder },
            rendered_image_push_secret: Named { name: spec.rendered_image_push_secret.name },
            rendered_image_pushspec: spec.rendered_image_push_spec,
            release_version: kept.release_version,
            container_file: files
                .map(|file| older::Containerfile {
                    containerfile_arch: spelled(file.containerfile_arch, &kept.spellings),
                    content: file.content,
                })
                .collect(),
        };
        let spec = older::MachineOSConfigSpec {
            machine_config_pool: HostNamed { name: spec.machine_config_pool.name },
            build_inputs: inputs,
            build_outputs: kept.build_outputs,
        };
        let Some(status) = status else { return (spec, None, Newer::default()) };
        let newer = Newer { machine_os_build: status.machine_os_build };
        let status = older::MachineOSConfigStatus {
            observed_generation: status.observed_generation,
            conditions: status.conditions,
            current_image_pullspec: status.current_image_pull_spec,
        };
        (spec, Some(status), newer)
    }
}

/// What version v1 cannot hold.
fn refuse(files: &[older::Containerfile]) -> Result<(), Refusal> {
    for (index, file) in files.iter().enumerate() {
        let length = file.content.chars().count();
        if length > MAX_CONTENT {
            let why = format!(
                "{length} characters, and version v1, in which objects are stored, holds {MAX_CONTENT}; move files into \
                 MachineConfigs, or scripts into an image and take them with COPY --from"
            );
            return Err((format!("{FILES}[{index}].content"), why));
        }
        let arch = newer(file.containerfile_arch);
        let before = files.iter().take(index).position(|before| newer(before.containerfile_arch) == arch);
        if let Some(before) = before {
            let why = format!("is the architecture of {FILES}[{before}] too; write one text for it");
            return Err((format!("{FILES}[{index}].containerfileArch"), why));
        }
    }
    if files.len() > MAX_FILES {
        let why = format!(
            "{} items, and version v1, in which objects are stored, holds {MAX_FILES}; leave out the architecture that the \
             pool does not have",
            files.len()
        );
        return Err((FILES.to_owned(), why));
    }
    Ok(())
}

fn newer(arch: OlderArch) -> ContainerfileArch {
    match arch {
        OlderArch::Arm64 | OlderArch::Aarch64 => ContainerfileArch::Arm64,
        OlderArch::Amd64 | OlderArch::X86_64 => ContainerfileArch::Amd64,
        OlderArch::Ppc64le => ContainerfileArch::Ppc64le,
        OlderArch::S390x => ContainerfileArch::S390x,
        OlderArch::Noarch => ContainerfileArch::NoArch,
    }
}

/// An architecture as it was spelled, else as Kubernetes spells it.
fn spelled(arch: ContainerfileArch, spellings: &[OlderArch]) -> OlderArch {
    let own = spellings.iter().find(|spelling| newer(**spelling) == arch);
    own.copied().unwrap_or(match arch {
        ContainerfileArch::Arm64 => OlderArch::Arm64,
        ContainerfileArch::Amd64 => OlderArch::Amd64,
        ContainerfileArch::Ppc64le => OlderArch::Ppc64le,
        ContainerfileArch::S390x => OlderArch::S390x,
        ContainerfileArch::NoArch => OlderArch::Noarch,
    })
}
