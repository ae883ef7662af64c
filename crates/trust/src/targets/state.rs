use trefoil_repo::fuzzing::read_index;
use trefoil_sysroot::fuzzing;

use super::Target;

pub const TARGET: Target = Target {
    name: "state",
    formats: "what this machine keeps for itself: seal logs of spares, the index of `/etc`, the \
              commit index, staged deployments, known bootcsums",
    run,
};

fn run(bytes: &[u8]) {
    if let Some(written) = fuzzing::seal_record(bytes) {
        assert_eq!(written, bytes);
    }
    for door in [fuzzing::etc_index, fuzzing::staged_state, fuzzing::bootcsums] {
        if let Some(written) = door(bytes) {
            assert_eq!(door(&written).as_ref(), Some(&written), "read again it is another");
        }
    }
    let (files, dirs) = read_index(bytes);
    assert!(files + dirs <= bytes.len());
}
