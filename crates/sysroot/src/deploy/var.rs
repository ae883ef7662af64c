use trefoil_fsat::Dir;
use trefoil_repo::checkout::{CheckoutOptions, Overwrite, checkout};
use trefoil_repo::{RepoError, TreeEntry, TreeId};

use crate::error::During;
use crate::stateroot::init_legacy_var;
use crate::{Deployment, Result, Sysroot};

/// Fills the stateroot's `/var` with what the commit has there, if it is still empty; later
/// commits never change it. A tree without tmpfiles.d also gets what such systems expect.
pub(super) fn prepare(
    sysroot: &Sysroot,
    deployment: &Deployment,
    tree: &Dir,
    root: TreeId,
) -> Result<()> {
    let step = || "Preparing deployment /var".to_string();
    let found = match sysroot.repo().lookup(root, "var") {
        Ok(TreeEntry::Dir(found)) => found,
        Ok(TreeEntry::File(_)) | Err(RepoError::PathNotFound { .. }) => return Ok(()),
        Err(e) => return Err(e).during(step),
    };
    let path = format!("deploy/{}/var", deployment.stateroot);
    let var = sysroot.ostree().open_dir(&path).during(|| "Opening stateroot".into())?;
    if !var.entries()?.is_empty() {
        return Ok(());
    }
    let options = CheckoutOptions {
        force_copy: true,
        overwrite: Overwrite::UnionFiles,
        ..CheckoutOptions::default()
    };
    checkout(sysroot.repo(), &options, found, &var, ".").during(step)?;
    if !tree.exists("usr/lib/tmpfiles.d")? {
        init_legacy_var(&var).during(step)?;
    }
    Ok(())
}

/// Removes the stamp by which services see whether `/var` was updated since the last boot.
pub(super) fn drop_update_stamp(sysroot: &Sysroot, stateroot: &str) -> Result<()> {
    let booted = sysroot.booted().is_some_and(|b| b.stateroot == stateroot);
    let var = match &sysroot.options().booted {
        // It may be a mount of its own.
        Some(info) if booted => sysroot.fs().open_dir(&info.var)?,
        _ => sysroot.ostree().open_dir(format!("deploy/{stateroot}/var"))?,
    };
    var.unlink_opt(".updated")?;
    Ok(())
}
