use std::collections::HashMap;

use trefoil_delta::{Fallback, PartHeader, SignedDelta, Superblock, TreePatch};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use super::signature::read_signed;
use crate::{RepoError, Result, Transaction};

/// What has to be done for a delta, given what is there.
#[derive(Clone, Debug)]
pub struct DeltaPlan {
    /// The delta.
    pub superblock: Superblock,
    /// Whether the commit it leads to is there already; objects may be missing even so.
    pub has_commit: bool,
    /// Which parts are needed: they make an object that is not there.
    pub parts: Vec<usize>,
    /// Which parts are not needed if [`patch_part`](super::patch_part) makes all of their objects
    /// that are not there.
    pub patched: Vec<usize>,
    /// How directories are made of those that are there, by their checksums.
    pub(super) patches: HashMap<Checksum, TreePatch>,
    /// Objects that no part makes and that are not there.
    pub fallbacks: Vec<Fallback>,
}

impl DeltaPlan {
    /// The parts that are needed, with their places.
    pub fn part_headers(&self) -> impl Iterator<Item = (usize, &PartHeader)> {
        self.parts.iter().map(|index| (*index, &self.superblock.parts[*index]))
    }

    /// Bytes to be fetched: the parts that are surely needed and are not inline, and the files of
    /// the fallback objects.
    pub fn bytes(&self) -> u64 {
        let outside = |(index, _): &(usize, &PartHeader)| {
            self.superblock.metadata.get(&self.superblock.name.part_path(*index)).is_none()
        };
        let parts = self.part_headers().filter(outside).map(|(_, part)| part.size);
        let fallbacks = self.fallbacks.iter().map(|object| object.size);
        parts.chain(fallbacks).fold(0, u64::saturating_add)
    }
}

/// Reads the bytes of a superblock, and takes the signatures off where there are any. They are
/// not checked here.
pub fn read_superblock(bytes: &[u8]) -> Result<(Superblock, Option<SignedDelta>)> {
    let signed = read_signed(bytes)?;
    let superblock = signed.as_ref().map_or(bytes, |signed| &signed.superblock);
    Ok((Superblock::parse(superblock)?, signed))
}

/// Finds out what of a delta is needed. Costs a look for each object the delta names, or two.
///
/// # Errors
/// The commit it starts from is not there; its own commit does not have the checksum it should;
/// parts of a later version.
pub fn plan_delta(txn: &Transaction<'_>, superblock: Superblock) -> Result<DeltaPlan> {
    superblock.commit()?;
    if let Some(from) = superblock.name.from
        && !txn.has_object(&ObjectName::new(from, ObjectType::Commit))?
    {
        return Err(RepoError::Refused(format!(
            "Commit {from}, which is the delta source, is not in repository"
        )));
    }
    let mut plan = DeltaPlan {
        has_commit: txn.has_object(&ObjectName::new(superblock.name.to, ObjectType::Commit))?,
        parts: Vec::new(),
        patched: Vec::new(),
        patches: superblock.tree_patches().map(|patch| (patch.to, patch)).collect(),
        fallbacks: Vec::new(),
        superblock,
    };
    for (index, part) in plan.superblock.parts.iter().enumerate() {
        part.check_version()?;
        match needs(txn, &part.objects, &plan.patches)? {
            Needs::Nothing => {}
            Needs::Patches => plan.patched.push(index),
            Needs::Part => plan.parts.push(index),
        }
    }
    for object in &plan.superblock.fallbacks {
        if !txn.has_object(&object.name)? {
            plan.fallbacks.push(*object);
        }
    }
    Ok(plan)
}

/// What it takes to have some objects.
enum Needs {
    Nothing,
    Patches,
    Part,
}

fn needs(
    txn: &Transaction<'_>,
    objects: &[ObjectName],
    patches: &HashMap<Checksum, TreePatch>,
) -> Result<Needs> {
    let mut needs = Needs::Nothing;
    for name in objects {
        if txn.has_object(name)? {
            continue;
        }
        let patch = patches.get(&name.checksum).filter(|_| name.kind == ObjectType::DirTree);
        let Some(patch) = patch else { return Ok(Needs::Part) };
        if !txn.has_object(&ObjectName::new(patch.from, ObjectType::DirTree))? {
            return Ok(Needs::Part);
        }
        needs = Needs::Patches;
    }
    Ok(needs)
}
