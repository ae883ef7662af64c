#![allow(clippy::disallowed_methods)]

use std::fs;

use flate2::Crc;
use trefoil_fsat::Fs;
use trefoil_image::fuzzing::partitions;

use super::Target;
use super::place::scratch;

pub const TARGET: Target =
    Target { name: "disk", formats: "partition tables of disk images (GPT)", run };

const SECTOR: usize = 512;
const DISK: usize = 128 * SECTOR;

/// The first sectors of a disk. Their checksums are mended, since no mutation would.
fn run(bytes: &[u8]) {
    let mut disk = bytes.to_vec();
    disk.resize(DISK, 0);
    mend(&mut disk);
    thread_local! {
        static PLACE: tempfile::TempDir = scratch();
    }
    PLACE.with(|place| {
        fs::write(place.path().join("disk"), &disk).expect("a file");
        let dir = Fs::new().open_dir(place.path()).expect("a directory");
        let mut file = dir.open_file("disk").expect("a file");
        for (start, size) in partitions(&mut file).into_iter().flatten() {
            assert!(start % SECTOR as u64 == 0 || start == u64::MAX, "{start} {size}");
        }
    });
}

/// Sets the checksums in the header at sector 1: that of the entries, where these lie within
/// the disk, and its own.
fn mend(disk: &mut [u8]) {
    let number = |disk: &[u8], at: usize| {
        u32::from_le_bytes(disk[SECTOR + at..SECTOR + at + 4].try_into().expect("four bytes"))
    };
    let start = number(disk, 72) as usize * SECTOR;
    let len = (number(disk, 80) as usize).saturating_mul(number(disk, 84) as usize);
    if let Some(entries) = disk.get(start..start.saturating_add(len)) {
        let sum = sum(entries);
        disk[SECTOR + 88..SECTOR + 92].copy_from_slice(&sum.to_le_bytes());
    }
    disk[SECTOR + 16..SECTOR + 20].fill(0);
    let len = (number(disk, 12) as usize).min(SECTOR);
    let sum = sum(&disk[SECTOR..SECTOR + len]);
    disk[SECTOR + 16..SECTOR + 20].copy_from_slice(&sum.to_le_bytes());
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the target itself: the table it starts from is one, its mended checksums hold.
    #[test]
    fn the_seed_is_a_table() {
        let mut disk = include_bytes!("../../corpus/disk/gpt").to_vec();
        disk.resize(DISK, 0);
        disk[2 * SECTOR + 128 + 40] ^= 1;
        mend(&mut disk);
        let place = scratch();
        fs::write(place.path().join("disk"), &disk).expect("a file");
        let dir = Fs::new().open_dir(place.path()).expect("a directory");
        let found = partitions(&mut dir.open_file("disk").expect("a file"));
        assert_eq!(found, Some(vec![(48 * 512, 7 * 512)]));
    }
}
