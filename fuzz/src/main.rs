//! The program that libFuzzer drives. The variable ONLAY_FUZZ_TARGET names what it breaks: one program links once.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<onlay_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("ONLAY_FUZZ_TARGET").unwrap_or_default();
    onlay_fuzz::target(&name).unwrap_or_else(|| {
        eprintln!("error: ONLAY_FUZZ_TARGET is {name:?}, which is no target; run `cargo xtask fuzz`");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
