//! The extensions that a MachineConfig can ask for.
//!
//! Source: `spec.extensions` of the compatible API, as documented for its version 4.20.

/// Every name; a base image may have fewer of them. Other packages come from a Containerfile.
pub const KNOWN: [&str; 8] =
    ["ipsec", "kerberos", KERNEL_DEVEL, "sandboxed-containers", "sysstat", "two-node-ha", "usbguard", "wasm"];

/// Headers and tools of the default kernel.
pub const KERNEL_DEVEL: &str = "kernel-devel";
