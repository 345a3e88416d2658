//! Placements as files: `placement/NAME.yaml` tells a configuration, a capability profile and what is measured;
//! `placement/NAME.txt` where each stage runs, why nowhere else, and what is written into the card.
//! `SLUICE_BLESS=1 cargo test` writes the latter anew: read the difference before you keep it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{Gateway, LINK};
use ipnet::IpNet;
use serde::Deserialize;
use sluice_datapath::abi::{CardTable, Table};
use sluice_planner::{
    SlotWords,
    card::{CardFacts, Cards, CardsPlan, Forest, Heat, Refusal, hook_of, plan_cards},
    facts::{NextHop, ProgramFacts},
};
use sluice_profile::{Capability, Finding, Profile, Verdict, shipped};

/// A case; its stages follow each other on the same gateway.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    /// A shipped profile; without one the link was not probed.
    #[serde(default)]
    profile: Option<String>,
    /// Lines of the profile that are answered otherwise here.
    #[serde(default)]
    lines: BTreeMap<Capability, Finding>,
    /// Objects for all stages that have none of their own.
    #[serde(default)]
    config: String,
    /// Addresses that are reached by another link.
    #[serde(default)]
    elsewhere: BTreeSet<IpAddr>,
    /// Why the driver refuses the program.
    #[serde(default)]
    native_refused: Option<String>,
    stages: Vec<Stage>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Stage {
    /// Objects from here on.
    config: Option<String>,
    /// Seconds that pass before.
    wait: u64,
    /// Packets per second of services.
    services: BTreeMap<String, f64>,
    /// Packets per second of prefixes.
    prefixes: BTreeMap<IpNet, f64>,
    /// What the card refuses: the kernel's words, by placement.
    refused: BTreeMap<sluice_model::Placement, String>,
    /// Sizes of tables that the card was found to take.
    limits: BTreeMap<String, u32>,
}

fn profile(case: &Case) -> Option<Arc<Profile>> {
    let name = case.profile.as_ref()?;
    let profile = shipped::profile(name).unwrap_or_else(|| panic!("no profile {name} is shipped"));
    let mut profile = profile.unwrap();
    profile.lines.extend(case.lines.clone());
    Some(Arc::new(profile))
}

fn table(name: &str) -> CardTable {
    let mut all = CardTable::ALL.iter().copied();
    all.find(|table| table.name() == name).unwrap_or_else(|| panic!("no table {name}"))
}

fn refusals(stage: &Stage) -> BTreeMap<sluice_profile::Hook, Refusal> {
    let refusal = |words: &String| Refusal {
        reason: "the card refused the program".to_owned(),
        words: words.clone(),
        change: Some("it is tried again in 8 s".to_owned()),
    };
    let of = |(place, words): (&_, &String)| (hook_of(*place).unwrap(), refusal(words));
    stage.refused.iter().map(of).collect()
}

fn run(case: &Case) -> String {
    let mut gateway = Gateway::new();
    let mut facts = CardFacts { profile: profile(case), ..CardFacts::default() };
    let link = gateway.facts.links.get_mut("eth0").unwrap();
    link.native_refused.clone_from(&case.native_refused);
    let mut text = String::new();
    for (number, stage) in (1..).zip(&case.stages) {
        gateway.wait(Duration::from_secs(stage.wait));
        gateway.objects = common::objects(stage.config.as_ref().unwrap_or(&case.config));
        gateway.resolve();
        for address in &case.elsewhere {
            let hop = NextHop { ifindex: LINK + 1, ..common::next_hop(*address) };
            gateway.facts.ways.insert(*address, Ok(hop));
        }
        facts.refused = refusals(stage);
        facts.limits = stage.limits.iter().map(|(name, size)| (table(name), *size)).collect();
        let services = stage.services.iter().map(|(name, rate)| (name.parse().unwrap(), *rate));
        let prefixes = stage.prefixes.iter().map(|(prefix, rate)| (*prefix, *rate));
        let planned = plan(&mut gateway, &facts, &Heat::of(services, prefixes));
        writeln!(text, "--- stage {number}\n{}", planned.report()).unwrap();
        if let Some(card) = planned.cards.get("eth0") {
            facts.held = card.next.clone();
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn plan(gateway: &mut Gateway, facts: &CardFacts, heat: &Heat) -> CardsPlan {
    // The host's program is there already, so that the reasons are those of a gateway at work.
    let link = gateway.facts.links.get_mut("eth0").unwrap();
    let is_native = link.native_refused.is_none();
    link.program = Some(ProgramFacts { is_native, settings: None, is_current: true });
    gateway.converge();
    let plan = gateway.plan().unwrap();
    plan_cards(&Cards {
        objects: &gateway.objects,
        facts: &gateway.facts,
        plan: &plan,
        words: SlotWords {
            slots: gateway.tables.words(Table::Slots),
            moves: gateway.tables.words(Table::Moves),
        },
        cards: &BTreeMap::from([("eth0".to_owned(), facts.clone())]),
        heat,
        forests: &Forest::of(&gateway.objects),
    })
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/placement");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut cases: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    cases.sort();
    cases
}

fn read(path: &Path) -> Case {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn placements_are_as_the_files_say() {
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let found = run(&read(&case));
        check_places(&case, &found);
        let file = case.with_extension("txt");
        if std::env::var_os("SLUICE_BLESS").is_some() {
            fs::write(&file, found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            writeln!(wrong, "{} differs; found:\n{found}", file.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_shipped_profile_has_its_cases() {
    let used: BTreeSet<String> = cases().iter().filter_map(|case| read(case).profile).collect();
    for name in shipped::names() {
        assert!(used.contains(name), "no case for the profile {name}");
    }
}

/// Wherever a stage does not run, the reason is told.
fn check_places(case: &Path, text: &str) {
    const STAGES: [&str; 3] = ["prefilter", "service", "nat"];
    for stage in text.split("--- stage").skip(1) {
        let lines: Vec<&str> = stage.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(placement)) = (words.next(), words.next()) else { continue };
            if !line.starts_with("  ") || !STAGES.contains(&name) || placement == "nowhere" {
                continue;
            }
            let block: Vec<&&str> =
                lines[number + 1..].iter().take_while(|line| line.starts_with("      ")).collect();
            for place in ["nic-xdp", "nic-tc", "host-xdp", "host-xdp-generic"] {
                let behind = format!("             behind it: {place}");
                let explained = format!("             not {place}: ");
                let is_chosen = placement == place || block.iter().any(|line| ***line == *behind);
                let is_explained = block.iter().any(|line| line.starts_with(&explained));
                assert!(is_chosen != is_explained, "{}: {name}, {place}:\n{stage}", case.display());
            }
        }
    }
}

#[test]
fn verdicts_of_profiles_can_be_given_in_cases() {
    // Else `lines` of a case would silently mean nothing.
    let finding: Finding = serde_saphyr::from_str("{verdict: no, evidence: []}").unwrap();
    assert_eq!(finding.verdict, Verdict::No);
}
