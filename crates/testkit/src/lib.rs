//! The lab: a real cluster on one machine, as a library.
//!
//! [`layout`] says where things lie, [`process`] and [`network`] change the machine and undo exactly that, and
//! [`wait`] is the one way to wait.

pub mod api_server;
pub mod assets;
pub mod base_image;
pub mod buildah;
pub mod cache;
pub mod client;
pub mod command;
pub mod control_plane;
pub mod dns;
pub mod fingerprint;
pub mod images;
pub mod install;
pub mod kubectl;
pub mod lab;
pub mod layout;
pub mod lock;
pub mod network;
pub mod node;
pub mod objects;
pub mod packages;
pub mod pki;
pub mod process;
pub mod programs;
pub mod progress;
pub mod registry;
pub mod registry_server;
pub mod rootfs;
pub mod spoiled_registry;
pub mod status;
pub mod teardown;
mod tether;
pub mod timeline;
pub mod wait;

pub use api_server::ApiServer;
pub use assets::Assets;
pub use kubectl::Kubectl;
pub use lab::Lab;
pub use layout::Layout;
pub use pki::{Pki, Validity};
pub use progress::Progress;
pub use registry_server::RegistryServer;
pub use spoiled_registry::SpoiledRegistry;
