//! The verbs, one file each.

pub mod admin;
pub mod bench;
pub mod cat;
pub mod checkout;
pub mod checksum;
pub mod commit;
pub mod config;
pub mod create_usb;
pub mod demo;
pub mod dev;
pub mod diff;
pub mod export;
pub mod find_remotes;
pub mod fsck;
pub mod gpg_sign;
pub mod image;
pub mod init;
mod lab;
pub mod log;
pub mod ls;
pub mod not_yet;
pub mod prune;
pub mod pull;
pub mod pull_local;
pub mod refs;
pub mod remote;
pub mod reset;
pub mod rev_parse;
pub mod serve;
pub mod show;
pub mod sign;
pub mod static_delta;
pub mod summary;
pub mod watch;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Result;
use crate::generate;

/// All verbs. Those that are only there to say that they are missing are hidden.
#[derive(Subcommand, Debug)]
#[expect(clippy::large_enum_variant, reason = "parsed once per run")]
pub enum Verb {
    /// Commands for managing a host system booted with ostree
    Admin(admin::AdminArgs),
    /// Concatenate contents of files
    Cat(cat::CatArgs),
    /// Check out a commit into a filesystem tree
    Checkout(checkout::CheckoutArgs),
    /// Checksum a file or directory
    Checksum(checksum::ChecksumArgs),
    /// Commit a new revision
    Commit(commit::CommitArgs),
    /// Change repo configuration settings
    Config(config::ConfigArgs),
    /// Copy the refs to a USB stick
    CreateUsb(create_usb::CreateUsbArgs),
    /// Compare directory TARGETDIR against revision REV
    Diff(diff::DiffArgs),
    /// Stream COMMIT to stdout in tar format
    Export(export::ExportArgs),
    /// Find remotes to serve the given refs
    FindRemotes(find_remotes::FindRemotesArgs),
    /// Check the repository for consistency
    Fsck(fsck::FsckArgs),
    /// Sign a commit
    GpgSign(gpg_sign::GpgSignArgs),
    /// Initialize a new empty repository
    Init(init::InitArgs),
    /// Show log starting at commit or ref
    Log(log::LogArgs),
    /// List file paths
    Ls(ls::LsArgs),
    /// Search for unreachable objects
    Prune(prune::PruneArgs),
    /// Copy data from SRC_REPO
    PullLocal(pull_local::PullLocalArgs),
    /// Download data from remote repository
    Pull(pull::PullArgs),
    /// List refs
    Refs(refs::RefsArgs),
    /// Remote commands that may involve internet access
    Remote(remote::RemoteArgs),
    /// Reset a REF to a previous COMMIT
    Reset(reset::ResetArgs),
    /// Output the target of a rev
    RevParse(rev_parse::RevParseArgs),
    /// Output a metadata object
    Show(show::ShowArgs),
    /// Sign a commit
    Sign(sign::SignArgs),
    /// Static delta related commands
    StaticDelta(static_delta::StaticDeltaArgs),
    /// Manage summary metadata
    Summary(summary::SummaryArgs),

    /// Commit a directory whenever it changes
    Watch(watch::WatchArgs),
    /// Watch a tree, and bring each change to the machines that follow
    Dev(dev::DevArgs),
    /// Measure deploys beside those of ostree
    Bench(bench::BenchArgs),
    /// Commit, deploy and redeploy this machine's /usr in a throw-away sysroot
    Demo(demo::DemoArgs),
    /// Serve the repository over HTTP
    Serve(serve::ServeArgs),
    /// Bootable disk images, updated in place
    Image(image::ImageArgs),

    /// Man pages and shell completions
    #[command(hide = true)]
    Util(generate::UtilArgs),
}

/// What defines the arguments of a verb.
type Arguments = fn(clap::Command) -> clap::Command;

impl Verb {
    /// Each verb with its arguments, in the order above.
    pub const ARGUMENTS: &[(&str, Arguments)] = &[
        ("admin", admin::AdminArgs::augment_args),
        ("cat", cat::CatArgs::augment_args),
        ("checkout", checkout::CheckoutArgs::augment_args),
        ("checksum", checksum::ChecksumArgs::augment_args),
        ("commit", commit::CommitArgs::augment_args),
        ("config", config::ConfigArgs::augment_args),
        ("create-usb", create_usb::CreateUsbArgs::augment_args),
        ("diff", diff::DiffArgs::augment_args),
        ("export", export::ExportArgs::augment_args),
        ("find-remotes", find_remotes::FindRemotesArgs::augment_args),
        ("fsck", fsck::FsckArgs::augment_args),
        ("gpg-sign", gpg_sign::GpgSignArgs::augment_args),
        ("init", init::InitArgs::augment_args),
        ("log", log::LogArgs::augment_args),
        ("ls", ls::LsArgs::augment_args),
        ("prune", prune::PruneArgs::augment_args),
        ("pull-local", pull_local::PullLocalArgs::augment_args),
        ("pull", pull::PullArgs::augment_args),
        ("refs", refs::RefsArgs::augment_args),
        ("remote", remote::RemoteArgs::augment_args),
        ("reset", reset::ResetArgs::augment_args),
        ("rev-parse", rev_parse::RevParseArgs::augment_args),
        ("show", show::ShowArgs::augment_args),
        ("sign", sign::SignArgs::augment_args),
        ("static-delta", static_delta::StaticDeltaArgs::augment_args),
        ("summary", summary::SummaryArgs::augment_args),
        ("watch", watch::WatchArgs::augment_args),
        ("dev", dev::DevArgs::augment_args),
        ("bench", bench::BenchArgs::augment_args),
        ("demo", demo::DemoArgs::augment_args),
        ("serve", serve::ServeArgs::augment_args),
        ("image", image::ImageArgs::augment_args),
        ("util", generate::UtilArgs::augment_args),
    ];

    /// Runs the verb.
    pub fn run(self, cx: &Context) -> Result<()> {
        match self {
            Verb::Admin(args) => admin::run(args, cx),
            Verb::Bench(args) => bench::run(args, cx),
            Verb::Cat(args) => cat::run(args, cx),
            Verb::Checkout(args) => checkout::run(args, cx),
            Verb::Checksum(args) => checksum::run(args, cx),
            Verb::Commit(args) => commit::run(args, cx),
            Verb::Config(args) => config::run(args, cx),
            Verb::Demo(args) => demo::run(args, cx),
            Verb::Dev(args) => dev::run(args, cx),
            Verb::CreateUsb(args) => create_usb::run(args, cx),
            Verb::Diff(args) => diff::run(args, cx),
            Verb::Export(args) => export::run(args, cx),
            Verb::FindRemotes(args) => find_remotes::run(args, cx),
            Verb::Fsck(args) => fsck::run(args, cx),
            Verb::GpgSign(args) => gpg_sign::run(args, cx),
            Verb::Image(args) => image::run(args, cx),
            Verb::Init(args) => init::run(args, cx),
            Verb::Log(args) => log::run(args, cx),
            Verb::Ls(args) => ls::run(args, cx),
            Verb::Prune(args) => prune::run(args, cx),
            Verb::PullLocal(args) => pull_local::run(args, cx),
            Verb::Pull(args) => pull::run(args, cx),
            Verb::Refs(args) => refs::run(args, cx),
            Verb::Remote(args) => remote::run(args, cx),
            Verb::Reset(args) => reset::run(args, cx),
            Verb::RevParse(args) => rev_parse::run(args, cx),
            Verb::Serve(args) => serve::run(args, cx),
            Verb::Show(args) => show::run(args, cx),
            Verb::Sign(args) => sign::run(args, cx),
            Verb::StaticDelta(args) => static_delta::run(args, cx),
            Verb::Summary(args) => summary::run(args, cx),
            Verb::Watch(args) => watch::run(args, cx),
            Verb::Util(args) => generate::run(args, cx),
        }
    }
}
