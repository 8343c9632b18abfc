//! Hands the bytes of libFuzzer to the target that `FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use dollar_send::fuzzing::{FuzzTarget, TARGETS};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<FuzzTarget> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names = TARGETS.map(|(name, _)| name).join(", ");
    let found = TARGETS.into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET is one of {names}")).1
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
