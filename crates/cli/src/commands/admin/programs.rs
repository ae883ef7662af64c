//! The programs that writing boot entries may call, by the environment.

use std::path::PathBuf;

use trefoil_fsat::Watchdog;
use trefoil_sysroot::boot::BootPrograms;

use crate::environment;

/// Names of GRUB's own generator: of Fedora and its like, and of Debian.
const MKCONFIG: [&str; 2] = ["grub2-mkconfig", "grub-mkconfig"];

/// What this system has. `rehearse` tests the watchdog in place of a freeze.
pub fn of_system(rehearse: bool) -> BootPrograms {
    let mut arguments = vec!["admin".to_string(), "thaw-watchdog".into()];
    arguments.extend(rehearse.then(|| "--rehearse".to_string()));
    BootPrograms {
        // Ourselves, even if the file was replaced since we started.
        watchdog: Some(Watchdog { program: "/proc/self/exe".into(), arguments, rehearse }),
        grub2: environment::path("OSTREE_GRUB2_EXEC").map_or_else(mkconfig_places, |set| vec![set]),
        // Run by systemd, the journal is where people look for what went wrong.
        show_output: environment::text("INVOCATION_ID").is_some()
            || environment::text("OSTREE_DEBUG_GRUB2").is_some(),
    }
}

/// Where the generator may be. Whether it is there is looked up by those that need it: few do.
fn mkconfig_places() -> Vec<PathBuf> {
    let path = environment::search_path();
    let places = |name| std::env::split_paths(&path).map(move |dir| dir.join(name)).collect();
    MKCONFIG.iter().flat_map(|name| -> Vec<PathBuf> { places(name) }).collect()
}
