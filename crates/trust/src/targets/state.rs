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

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the target itself: every format is read from its seed, so that what grows from it
    /// reaches into the readers.
    #[test]
    fn the_seeds_are_read() {
        let seal = include_bytes!("../../corpus/state/seal-record");
        assert!(fuzzing::seal_record(seal).is_some());
        assert!(fuzzing::etc_index(include_bytes!("../../corpus/state/etc-index")).is_some());
        assert!(fuzzing::staged_state(include_bytes!("../../corpus/state/staged")).is_some());
        assert!(fuzzing::bootcsums(include_bytes!("../../corpus/state/bootcsums")).is_some());
        assert_eq!(read_index(include_bytes!("../../corpus/state/commit-index")), (3, 3));
    }
}
