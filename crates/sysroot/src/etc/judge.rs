use super::Result;
use super::diff::LocalNode;
use super::overlay::View;
use super::plan::ConflictKind;
use super::sides::Found;
use super::simulate::Simulation;

/// Which of the local changes meet a change of the defaults.
impl Simulation<'_> {
    fn identical(&mut self, node: &LocalNode) -> Result<bool> {
        let Some(local) = self.local else { return Ok(false) };
        self.between.new.equals_local(&node.path, local, &node.path, &node.stat)
    }

    pub(super) fn judge_modified(&mut self, node: &LocalNode) -> Result<()> {
        let old = self.between.old.find(&node.path)?;
        let new = self.between.new.find(&node.path)?;
        let (was_dir, is_dir) = (old.is_some_and(Found::is_dir), node.stat.is_dir());
        let kind = match new {
            None => ConflictKind::DefaultRemoved,
            Some(Found::Dir(_)) if is_dir && !was_dir => ConflictKind::DirectoryDropped,
            // The same directory still, or a clash.
            Some(Found::Dir(_)) => return Ok(()),
            Some(Found::Other(_)) if !self.between.changed(&node.path)? => return Ok(()),
            Some(Found::Other(_)) => ConflictKind::BothModified,
        };
        let identical = kind == ConflictKind::BothModified && self.identical(node)?;
        self.conflict(&node.path, kind, identical);
        Ok(())
    }

    pub(super) fn judge_added(&mut self, node: &LocalNode) -> Result<()> {
        if let Some(Found::Other(_)) = self.between.new.find(&node.path)? {
            let identical = self.identical(node)?;
            self.conflict(&node.path, ConflictKind::BothAdded, identical);
        }
        Ok(())
    }

    /// A directory of which only the attributes changed, and which is still a default, keeps
    /// them only if something in it was carried over.
    pub(super) fn judge_reset(&mut self, node: &LocalNode) -> Result<()> {
        let was_dir = self.between.old.find(&node.path)?.is_some_and(Found::is_dir);
        let is_dir = self.between.new.find(&node.path)?.is_some_and(Found::is_dir);
        if was_dir && is_dir && self.overlay.view(&node.path) == View::Default {
            self.conflict(&node.path, ConflictKind::DirectoryReset, false);
        }
        Ok(())
    }
}
