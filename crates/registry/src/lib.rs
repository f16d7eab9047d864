//! OCI registry client work: credentials, resolving tags, looking at images, joining them by an index.

#![warn(missing_docs)]

pub mod auth;
mod error;
mod image;
mod index;
mod name;
mod resolve;

pub use auth::{AuthError, DockerConfig};
pub use error::RegistryError;
pub use image::{Image, Layer, ostree_fault};
pub use resolve::Registry;
