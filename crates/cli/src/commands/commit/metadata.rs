//! Metadata of a commit.

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTree;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::object::ObjectType;
use trefoil_repo::commit::{bind_refs, keep_metadata};
use trefoil_repo::{Repo, Transaction, TreeId};

use crate::error::{CliError, Result};
use crate::keyvalue;

/// What is recorded besides the tree and the message.
#[derive(Args, Debug)]
pub struct MetadataArgs {
    /// Do not write any ref bindings
    #[arg(long)]
    no_bindings: bool,
    /// Add a ref to ref binding commit metadata
    #[arg(long, value_name = "BRANCH")]
    bind_ref: Vec<String>,
    /// Add a key/value pair to metadata
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata_string: Vec<String>,
    /// Add a key/value pair to metadata, where the KEY is a string, and VALUE is in GVariant Text Format
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
    /// Keep metadata KEY and its associated VALUE from parent
    #[arg(long, value_name = "KEY")]
    keep_metadata: Vec<String>,
    /// Add a key/value pair to detached metadata
    #[arg(long, value_name = "KEY=VALUE")]
    add_detached_metadata_string: Vec<String>,
    /// Flag this commit as a bootable OSTree (e.g. contains a Linux kernel)
    #[arg(long)]
    bootable: bool,
}

impl MetadataArgs {
    /// The metadata that the options give, in libostree's order.
    pub fn collect(&self, repo: &Repo, parent: Option<&Checksum>) -> Result<Metadata> {
        let mut metadata = Metadata::default();
        for text in &self.add_metadata_string {
            metadata.0.push(keyvalue::metadata_string(text)?);
        }
        for text in &self.add_metadata {
            metadata.0.push(keyvalue::metadata_variant(text)?);
        }
        if !self.keep_metadata.is_empty() {
            let Some(parent) = parent else {
                return Err(CliError::failed(
                    "Either --branch or --parent must be specified when using --keep-metadata",
                ));
            };
            metadata.0.extend(keep_metadata(repo, parent, &self.keep_metadata)?);
        }
        Ok(metadata)
    }

    /// The detached metadata, if any was asked for.
    pub fn detached(&self) -> Result<Option<Metadata>> {
        if self.add_detached_metadata_string.is_empty() {
            return Ok(None);
        }
        let pairs = self.add_detached_metadata_string.iter();
        let pairs: Result<Vec<_>> = pairs.map(|text| keyvalue::metadata_string(text)).collect();
        Ok(Some(Metadata(pairs?)))
    }

    /// Adds what depends on the branch and the tree.
    pub fn bind(
        &self,
        transaction: &Transaction<'_>,
        mut metadata: Metadata,
        branch: Option<&str>,
        tree: &TreeId,
    ) -> Result<Metadata> {
        if !self.no_bindings {
            let refs = branch.map(str::to_string).into_iter().chain(self.bind_ref.iter().cloned());
            bind_refs(transaction.repo(), &mut metadata, &refs.collect::<Vec<_>>());
        }
        if self.bootable {
            let release = kernel_release(transaction, tree)?;
            metadata.set("ostree.bootable", Value::Bool(true));
            metadata.set("ostree.linux", Value::from(release));
        }
        Ok(metadata)
    }
}

/// The one directory in usr/lib/modules that holds a `vmlinuz`.
fn kernel_release(transaction: &Transaction<'_>, root: &TreeId) -> Result<String> {
    let load = |tree: &Checksum| -> Result<DirTree> {
        Ok(DirTree::parse(&transaction.load_metadata(ObjectType::DirTree, tree)?)?)
    };
    let mut dir = load(&root.tree)?;
    for name in ["usr", "lib", "modules"] {
        let sub = dir.dirs.iter().find(|d| d.name.as_str() == name).ok_or_else(|| {
            CliError::failed("Opening usr/lib/modules: No such file or directory")
        })?;
        dir = load(&sub.tree)?;
    }
    let mut found = Vec::new();
    for sub in &dir.dirs {
        if load(&sub.tree)?.files.iter().any(|f| f.name.as_str() == "vmlinuz") {
            found.push(sub.name.as_str().to_string());
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(CliError::failed("No kernel found in /usr/lib/modules")),
        _ => Err(CliError::failed("Multiple kernels found in /usr/lib/modules")),
    }
}
