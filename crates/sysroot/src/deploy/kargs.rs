use trefoil_format::kargs::KernelArgs;

use crate::{Deployment, Result};

/// Changes to the kernel arguments of a new deployment, in the order they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KargOptions {
    /// Start with none (`--karg-none`).
    pub none: bool,
    /// Start with those of the running kernel, the text of `/proc/cmdline`
    /// (`--karg-proc-cmdline`).
    pub proc_cmdline: Option<String>,
    /// Set `KEY=VALUE` in place of all with that key (`--karg`).
    pub replace: Vec<String>,
    /// Append (`--karg-append`).
    pub append: Vec<String>,
    /// Append unless the key is there.
    pub append_if_missing: Vec<String>,
    /// Remove if there (`--karg-delete`).
    pub delete: Vec<String>,
}

impl KargOptions {
    /// Whether the arguments are not just those of the merge deployment.
    pub(crate) fn is_change(&self) -> bool {
        let lists = [&self.replace, &self.append, &self.append_if_missing, &self.delete];
        self.none || self.proc_cmdline.is_some() || lists.iter().any(|list| !list.is_empty())
    }

    /// The arguments of the new deployment; `None` where it has none at all.
    pub(crate) fn resolve(&self, merge: Option<&Deployment>) -> Result<Option<KernelArgs>> {
        let mut kargs = match (self.none, &self.proc_cmdline, merge) {
            (true, ..) => Some(KernelArgs::default()),
            (_, Some(cmdline), _) => {
                let mut kargs = KernelArgs::default();
                kargs.append_proc_cmdline(cmdline);
                Some(kargs)
            }
            (_, None, Some(merge)) => merge.entry.get("options").map(KernelArgs::parse),
            (_, None, None) => None,
        };
        let changes = [&self.replace, &self.append, &self.append_if_missing, &self.delete];
        if changes.iter().all(|list| list.is_empty()) {
            return Ok(kargs);
        }
        let args = kargs.get_or_insert_default();
        self.replace.iter().for_each(|arg| args.replace_take(arg));
        args.append_all(&self.append);
        self.append_if_missing.iter().for_each(|arg| args.append_if_missing(arg));
        for arg in &self.delete {
            args.delete_if_present(arg)?;
        }
        Ok(kargs)
    }
}
