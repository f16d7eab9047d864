//! OCI registry client work: credentials, resolving tags, looking at images.
