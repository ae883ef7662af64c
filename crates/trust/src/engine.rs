//! libFuzzer around one of the [`targets`](trefoil_trust::targets): that which the environment
//! variable `TRUST_TARGET` names. `trust fuzz` builds and runs it.

#![no_main]
#![allow(clippy::disallowed_methods)]

use std::sync::OnceLock;

use cap::Cap;
use libfuzzer_sys::fuzz_target;
use trefoil_trust::targets::{self, MEMORY_LIMIT, Target};

/// Whatever a target allocates beyond the limit fails, and a failed allocation is a finding.
#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, MEMORY_LIMIT);

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("TRUST_TARGET").expect("TRUST_TARGET names the target");
        targets::find(&name).expect("there is a target of this name")
    });
    (target.run)(bytes);
});
