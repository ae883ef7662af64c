//! `dev`: from an edited file to a machine that runs it. Watches a tree, commits it, serves it,
//! and tells how long each step of a round took, here and on the machines that follow.

mod agent;
mod image;
mod rounds;
mod ssh;
mod timeline;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Instant;

use clap::Args;
use trefoil_serve::{Options, Report, Server};

use crate::commands::admin::follow::ApplyWord;
use crate::commands::serve::write_port;
use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::ui::Ui;
use crate::watching::{Round, SetupArgs, Signals, Step, Watching};
use agent::Agent;
use rounds::{Committed, Rounds, Told};
use ssh::Plan;

/// Events that may wait to be told; more reports than that are dropped.
const WAITING: usize = 1024;

/// Arguments of `dev`.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Directory to watch
    #[arg(value_name = "TREE")]
    tree: Option<PathBuf>,
    #[command(flatten)]
    watch: SetupArgs,
    /// Serve the repository here; port 0 is any that is free. Who can reach it can read the
    /// repository
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Write the port to FILE once the server listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Upgrade HOST over ssh after each commit: for machines that do not follow by themselves
    #[arg(long, value_name = "HOST")]
    ssh: Vec<String>,
    /// Run CMD on the machines of --ssh; {url} and {apply} in it are filled in
    #[arg(long, value_name = "CMD", default_value = Plan::COMMAND)]
    ssh_command: String,
    /// What the machines of --ssh do after each deploy
    #[arg(long, value_name = "reboot|soft-reboot|none", value_enum, default_value = "none")]
    apply: ApplyWord,
    /// Update the disk image IMAGE in place after each commit, which no machine may run
    #[arg(long, value_name = "IMAGE")]
    image: Vec<PathBuf>,
    /// Print a line of JSON for each round
    #[arg(long)]
    json: bool,
}

/// What happens in a loop.
#[derive(Debug)]
enum Event {
    Committed(Committed),
    Report(Report, Instant),
    Words(String),
    End,
}

/// Passes on what happens.
#[derive(Clone, Debug)]
struct Teller(SyncSender<Event>);

impl Teller {
    /// Waits where too much is told at once.
    fn tell(&self, event: Event) {
        // Without a receiver the loop has ended.
        let _ = self.0.send(event);
    }

    /// Drops what is too much.
    fn try_tell(&self, event: Event) {
        let _ = self.0.try_send(event);
    }
}

/// Runs `dev`: until SIGINT, SIGTERM or SIGHUP.
pub fn run(args: DevArgs, cx: &Context) -> Result<()> {
    let Some(tree) = args.tree else {
        return Err(CliError::usage("A directory to watch must be specified"));
    };
    args.watch.check()?;
    let signals = Signals::hold()?;
    let repo = args.watch.open_repo(cx)?;
    let setup = args.watch.setup(tree.clone())?;
    let branch = setup.branch.clone();
    let served = cx.open_repo()?;
    let mut watching = Watching::start(cx, repo, setup)?;
    signals.stop(watching.stopper());

    let (sender, events) = mpsc::sync_channel(WAITING);
    let teller = Teller(sender);
    let server = Server::bind(served, args.listen, Options { follow: true, ..Options::default() })?;
    let (address, stopper) = (server.address(), server.stopper());
    let hear = teller.clone();
    let server = server.hear(move |report| hear.try_tell(Event::Report(report, Instant::now())));
    let plan = Plan { command: args.ssh_command, address, apply: args.apply.into() };
    let agents = args.ssh.iter().map(|host| ssh::start(host, plan.clone(), teller.clone()));
    let mut agents: Vec<Agent> = agents.collect::<Result<_>>()?;
    let repo_path = cx.repo_path()?;
    agents.extend(
        args.image.iter().map(|image| image::start(image, &repo_path, &branch, teller.clone())),
    );
    if let Some(path) = &args.port_file {
        write_port(cx, path, address.port()).context("writing the port file")?;
    }
    cx.ui.words(format_args!(
        "watching {} by {}, committing to {branch}; Ctrl-C ends\nmachines follow with 'trefoil \
         admin upgrade --follow=http://{address}/'",
        tree.display(),
        watching.backend()
    ))?;

    let watch_stopper = watching.stopper();
    let serving = std::thread::spawn(move || {
        let served = server.run(|_| {});
        // Without a server there is no loop.
        watch_stopper.stop();
        served
    });
    let telling = std::thread::spawn(move || tell(&events, args.json));
    let watched = watch(&mut watching, cx, &teller, &agents);
    agents.into_iter().for_each(Agent::stop);
    stopper.stop();
    let served = serving.join();
    teller.tell(Event::End);
    let told = telling.join();
    let died = |_| CliError::failed("a part of it broke down");
    served.map_err(died)??;
    let count = told.map_err(died)??;
    watched?;
    // On a terminal the line begins with the ^C of the user.
    let start = if std::io::stderr().is_terminal() { "\r" } else { "" };
    let rounds = if count == 1 { "1 round".to_string() } else { format!("{count} rounds") };
    cx.ui.words(format_args!("{start}ended after {rounds}"))
}

/// Commits until somebody asks for an end, and has machines told.
fn watch(
    watching: &mut Watching<'_>,
    cx: &Context,
    teller: &Teller,
    agents: &[Agent],
) -> Result<()> {
    let (mut first, mut said) = (true, String::new());
    loop {
        match watching.next(None)? {
            Step::Committed(round) => {
                said.clear();
                let commit = round.commit.to_hex();
                if let Some(why) = round.looked.words() {
                    cx.ui.words(format_args!("looked at everything: {why}"))?;
                }
                teller.tell(Event::Committed(committed(&round)));
                agents.iter().for_each(|agent| agent.upgrade(&commit));
            }
            // A machine may have missed what was before us.
            Step::Unchanged(commit) if first => {
                cx.ui.words(format_args!("up to date at {commit}"))?;
                agents.iter().for_each(|agent| agent.upgrade(&commit.to_hex()));
            }
            Step::Failed(error) if error.to_string() != said => {
                said = error.to_string();
                cx.ui.words(format_args!("not committed yet: {error}"))?;
            }
            Step::Unchanged(_) | Step::Failed(_) | Step::Idle => {}
            Step::Stopped => return Ok(()),
        }
        first = false;
    }
}

fn committed(round: &Round) -> Committed {
    let settled = round.at.checked_sub(round.took).unwrap_or(round.at);
    Committed {
        commit: round.commit.to_hex(),
        changed: round.difference.total(),
        seen: settled.checked_sub(round.settled).unwrap_or(settled),
        settled,
        done: round.at,
    }
}

/// Tells of all that happens, until its end. Gives the number of rounds.
fn tell(events: &Receiver<Event>, json: bool) -> Result<u64> {
    let ui = Ui::default();
    let (mut rounds, mut count) = (Rounds::default(), 0);
    for event in events {
        let told = match event {
            Event::Committed(committed) => {
                count += 1;
                let Committed { commit, changed, seen, done, .. } = &committed;
                let ms = (*done - *seen).as_millis();
                ui.words(format_args!("round {count}: {commit}, {changed} changed, {ms} ms"))?;
                rounds.committed(committed)
            }
            Event::Report(report, at) => rounds.report(report, at),
            Event::Words(words) => vec![Told::Words(words)],
            Event::End => break,
        };
        say(&ui, told, json)?;
    }
    say(&ui, rounds.end(), json)?;
    Ok(count)
}

fn say(ui: &Ui, told: Vec<Told>, json: bool) -> Result<()> {
    told.iter().try_for_each(|told| match told {
        Told::Words(words) => ui.words(words),
        Told::Timeline(timeline) if json => ui.json_line(timeline),
        Told::Timeline(timeline) => {
            ui.line(timeline.line())?;
            ui.flush()
        }
    })
}
