//! The build Job: context, buildah, result.
