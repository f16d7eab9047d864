//! OCI registry client work: which credentials an image needs, and what an image is before anybody pulls it.
//!
//! The process must have installed a rustls crypto provider before a [`Registry`] is made.

pub mod credentials;
pub mod image;

pub use credentials::Credentials;
pub use image::{Image, Registry};
