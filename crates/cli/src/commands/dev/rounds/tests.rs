use proptest::prelude::*;

use super::*;

fn committed(start: Instant, commit: &str) -> Committed {
    let after = |ms| start + Duration::from_millis(ms);
    let commit = commit.to_string();
    Committed { commit, changed: 1, seen: start, settled: after(200), done: after(240) }
}

fn report(commit: &str, machine: &str, state: State) -> Report {
    Report {
        name: "main".to_string(),
        commit: commit.to_string(),
        machine: machine.to_string(),
        state,
        apply: Apply::None,
        pulled_ms: Some(50),
        deployed_ms: Some(100),
        booted_ms: None,
        error: None,
    }
}

fn timelines(told: Vec<Told>) -> Vec<Timeline> {
    let timeline = |told| match told {
        Told::Timeline(timeline) => Some(timeline),
        Told::Words(_) => None,
    };
    told.into_iter().filter_map(timeline).collect()
}

fn sum(timeline: &Timeline) -> u64 {
    let Timeline { settled_ms, committed_ms, pulled_ms, deployed_ms, booted_ms, .. } = timeline;
    let later = [pulled_ms, deployed_ms, booted_ms];
    settled_ms + committed_ms + later.iter().map(|ms| ms.unwrap_or(0)).sum::<u64>()
}

/// Guards the phases of a round, with a report that came before we knew of the commit.
#[test]
fn phases_follow_each_other() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    for early in [false, true] {
        let mut rounds = Rounds::default();
        let mut told = Vec::new();
        let deployed = report("a", "vm", State::Deployed);
        if early {
            assert_eq!(rounds.report(deployed.clone(), after(500)), []);
        }
        told.extend(rounds.committed(committed(start, "a")));
        if !early {
            told.extend(rounds.report(deployed.clone(), after(500)));
        }
        let told = timelines(told);
        let [timeline] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(
            timeline.line(),
            "round 1 on vm: a, 1 changed: edit seen, settled 200 + committed 40 + pulled 160 \
             + deployed 100 = 500 ms"
        );
        assert_eq!(rounds.report(deployed, after(600)), [], "sent again");
        assert_eq!(rounds.end(), []);
    }
}

/// Guards a reboot: one timeline, at its end, and nothing from a service that was restarted.
#[test]
fn a_reboot_is_waited_for() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut rounds = Rounds::default();
    rounds.committed(committed(start, "a"));
    let deployed = Report { apply: Apply::Reboot, ..report("a", "vm", State::Deployed) };
    let told = rounds.report(deployed.clone(), after(500));
    assert_eq!(told, [Told::Words("round 1 on vm: deployed, booting".to_string())]);
    assert_eq!(rounds.report(report("old", "vm", State::Booted), after(600)), []);
    let booted = Report { state: State::Booted, ..deployed };
    let told = timelines(rounds.report(booted.clone(), after(4500)));
    assert_eq!((told[0].booted_ms, told[0].total_ms), (Some(4000), 4500));
    assert_eq!((told[0].outcome, sum(&told[0])), (Outcome::Booted, 4500));
    assert_eq!(rounds.report(booted, after(5000)), []);
}

/// Guards that no round is lost: those that were passed over, those that failed and then
/// did not, and those without an end.
#[test]
fn every_round_is_told_of() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut rounds = Rounds::default();
    for commit in ["a", "b", "c"] {
        rounds.committed(committed(start, commit));
    }
    let error = Some("no space\n".to_string());
    let failed = Report { error, deployed_ms: None, ..report("b", "vm", State::Failed) };
    let told = timelines(rounds.report(failed, after(400)));
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].round, told[0].outcome), (1, Outcome::Superseded));
    assert_eq!((told[0].machine.as_deref(), told[0].total_ms), (None, 240));
    assert_eq!((told[1].pulled_ms, told[1].deployed_ms), (Some(50), Some(110)));
    assert!(told[1].line().ends_with(" = 400 ms; FAILED: no space\\n"), "{}", told[1].line());
    let told = timelines(rounds.report(report("b", "vm", State::Deployed), after(700)));
    assert_eq!((told.len(), told[0].outcome), (1, Outcome::Deployed));
    let told = timelines(rounds.end());
    assert_eq!((told.len(), told[0].outcome), (1, Outcome::Unfinished));
    assert_eq!(told[0].commit, "c");
}

proptest! {
    /// Guards that timelines add up, whatever machines claim and whenever they do.
    #[test]
    fn timelines_add_up(
        edits in proptest::collection::vec((0u64..3_000_000, 0u64..3_000_000), 1..4),
        reports in proptest::collection::vec(
            (0usize..4, 0usize..2, 0usize..3, 0usize..2, any::<Option<u64>>(), 0u64..9_000_000),
            0..12
        ),
    ) {
        let start = Instant::now();
        let after = |us| start + Duration::from_micros(us);
        let mut rounds = Rounds::default();
        let mut told = Vec::new();
        for (index, (settled, done)) in edits.iter().enumerate() {
            let (settled, done) = (after(*settled), after(settled + done));
            let commit = index.to_string();
            told.extend(rounds.committed(Committed { commit, changed: 1, seen: start, settled, done }));
        }
        for (commit, machine, state, apply, claimed, at) in reports {
            let state = [State::Deployed, State::Booted, State::Failed][state];
            let report = Report {
                apply: [Apply::None, Apply::Reboot][apply],
                pulled_ms: claimed,
                deployed_ms: claimed,
                ..report(&commit.to_string(), ["a", "b"][machine], state)
            };
            told.extend(rounds.report(report, after(at)));
        }
        told.extend(rounds.end());
        let told = timelines(told);
        for timeline in &told {
            prop_assert_eq!(sum(timeline), timeline.total_ms);
        }
        let rounds: std::collections::BTreeSet<u64> = told.iter().map(|t| t.round).collect();
        prop_assert_eq!(rounds.len(), edits.len());
    }
}
