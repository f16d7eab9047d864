//! MachineOSBuild.

use onlay_api::machine_os_build::{
    BuilderReference, MachineOSBuildSpec, MachineOSBuildStatus, OSConfigReference, RenderedConfigReference,
};
use onlay_api::reference::ObjectStatusReference;
use onlay_api::v1alpha1::{self as older, HostNamed, Named, ObjectReference};
use serde::{Deserialize, Serialize};

use super::{Convert, Refusal};

/// What builds an image, as version v1 and as version v1alpha1 call it.
const BUILDERS: [&str; 2] = ["Job", "PodImageBuilder"];

/// MachineOSBuild.
pub(super) struct OsBuild;

/// What only version v1alpha1 has a field for; 1 unless somebody counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Older {
    config_generation: i64,
    version: i64,
}

impl Default for Older {
    fn default() -> Self {
        Self { config_generation: 1, version: 1 }
    }
}

/// What only version v1 has a field for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Newer {}

impl Convert for OsBuild {
    type OlderSpec = older::MachineOSBuildSpec;
    type OlderStatus = older::MachineOSBuildStatus;
    type Spec = MachineOSBuildSpec;
    type Status = MachineOSBuildStatus;
    type OlderOnly = Older;
    type NewerOnly = Newer;

    fn up(
        spec: Self::OlderSpec,
        status: Option<Self::OlderStatus>,
        _: Newer,
    ) -> Result<(Self::Spec, Option<Self::Status>, Older), Refusal> {
        let kept = Older { config_generation: spec.config_generation, version: spec.version };
        let spec = MachineOSBuildSpec {
            machine_config: RenderedConfigReference { name: spec.desired_config.name },
            machine_os_config: OSConfigReference { name: spec.machine_os_config.name },
            rendered_image_push_spec: spec.rendered_image_pushspec,
        };
        let status = status.map(|status| MachineOSBuildStatus {
            conditions: status.conditions,
            builder: status.builder_reference.map(|builder| BuilderReference {
                image_builder_type: other_name(builder.image_builder_type),
                job: builder.build_pod.map(newer),
            }),
            build_start: status.build_start,
            build_end: status.build_end,
            digested_image_push_spec: status.final_image_pullspec,
            related_objects: status.related_objects.into_iter().map(newer).collect(),
        });
        Ok((spec, status, kept))
    }

    fn down(
        spec: Self::Spec,
        status: Option<Self::Status>,
        kept: Older,
    ) -> (Self::OlderSpec, Option<Self::OlderStatus>, Newer) {
        let spec = older::MachineOSBuildSpec {
            config_generation: kept.config_generation,
            desired_config: HostNamed { name: spec.machine_config.name },
            machine_os_config: Named { name: spec.machine_os_config.name },
            rendered_image_pushspec: spec.rendered_image_push_spec,
            version: kept.version,
        };
        let status = status.map(|status| older::MachineOSBuildStatus {
            conditions: status.conditions,
            builder_reference: status.builder.map(|builder| older::BuilderReference {
                image_builder_type: other_name(builder.image_builder_type),
                build_pod: builder.job.map(older_reference),
            }),
            build_start: status.build_start,
            build_end: status.build_end,
            final_image_pullspec: status.digested_image_push_spec,
            related_objects: status.related_objects.into_iter().map(older_reference).collect(),
        });
        (spec, status, Newer {})
    }
}

/// The name of a builder in the other version; a name that neither knows is the same in both.
fn other_name(name: String) -> String {
    match BUILDERS {
        [newer, older] if name == newer => older.to_owned(),
        [newer, older] if name == older => newer.to_owned(),
        _ => name,
    }
}

fn newer(ObjectReference { group, name, namespace, resource }: ObjectReference) -> ObjectStatusReference {
    ObjectStatusReference { group, resource, namespace, name }
}

fn older_reference(
    ObjectStatusReference { group, resource, namespace, name }: ObjectStatusReference,
) -> ObjectReference {
    ObjectReference { group, name, namespace, resource }
}
