//! Life with cards: what is planned is on them, whatever goes wrong with them is the host's work.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{ETH0, Gateway, Server};
use futures_util::future::BoxFuture;
use sluice_appliance::engine::{CardProber, CardSetup, smallest_sizes};
use sluice_appliance::event::EventKind;
use sluice_datapath::abi::{CardCounts, CardTable, Count, Reason};
use sluice_kernel::fake::{CardBehaviour, CardNo, World};
use sluice_kernel::{
    CardForeign, CardProgram, CardState, Cards, Errno, ForeignFilter, Route, Routing, card_tables,
    chaos,
};
use sluice_model::LinkName;
use sluice_model::status::{Condition, ConditionStatus, Placement, StageStatus};
use sluice_profile::{
    Capability, Evidence, Finding, Hook, Profile, ProgramFeature, Verdict, shipped,
};

/// Says what a shipped profile says; with `refusing` before its name, as if the card ran nothing just now.
struct Known(Mutex<&'static str>);

const REFUSED: &str = "XDP offload disabled in DebugFS";

/// The profile of a card that refuses both hooks.
fn refusing(mut profile: Profile) -> Profile {
    for hook in Hook::ALL.iter().copied() {
        let attach = Capability::Offload(hook, ProgramFeature::Attach);
        let evidence = Evidence::Notes { seen: REFUSED.to_owned() };
        profile.lines.insert(attach, Finding::new(Verdict::No, evidence));
    }
    profile
}

impl CardProber for Known {
    fn probe<'a>(&'a self, _: &'a LinkName) -> BoxFuture<'a, Result<Profile, String>> {
        let name = *self.0.lock().unwrap();
        let profile = match name.strip_prefix("refusing ") {
            Some(name) => shipped::profile(name).map(|profile| refusing(profile.unwrap())),
            None => shipped::profile(name).map(Result::unwrap),
        };
        Box::pin(std::future::ready(profile.ok_or_else(|| format!("no profile {name}"))))
    }
}

/// A machine whose first link has a card and leads to the backends.
fn world(behaviour: CardBehaviour) -> World {
    let world = common::world();
    for last in 1..=9_u8 {
        let route = Route {
            ifindex: ETH0,
            gateway: None,
            source: Some(common::ip("10.0.1.254")),
            mtu: None,
        };
        let address = common::ip(&format!("10.0.1.{last}"));
        world.set_route(address, Routing::Via(route));
        world.set_neighbour(sluice_kernel::Neighbour {
            ifindex: ETH0,
            address,
            mac: Some([6, 0, 0, 0, 0, last]),
            state: sluice_kernel::NeighbourState::Reachable,
        });
    }
    world.set_card(ETH0, Some(behaviour));
    world
}

fn known(profile: &'static str) -> Arc<Known> {
    Arc::new(Known(Mutex::new(profile)))
}

async fn start(world: World, profile: &'static str) -> Gateway {
    let cards = Box::new(world.cards());
    start_with(world, cards, known(profile)).await
}

async fn start_with(world: World, cards: Box<dyn Cards>, prober: Arc<Known>) -> Gateway {
    let (datapath, _) = world.open(&smallest_sizes()).unwrap();
    let network = Box::new(world.network());
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let cards = Some(CardSetup { cards, prober });
    Gateway::start_with_cards(world, directory, Box::new(datapath), network, cards).await
}

fn gateway(link: &str) -> String {
    format!(
        "kind: Gateway\nmetadata: {{name: gateway}}\nspec: {{links: [{{name: eth0{link}}}]}}\n---\n"
    )
}

fn web(backends: &str) -> String {
    common::service("web", "192.0.2.10", backends)
}

const DENY: &str = "kind: Prefilter\nmetadata: {name: filter}\nspec: {deny: [198.51.100.0/24, 203.0.113.0/24]}\n---\n";
const THREE: &str = "kind: Prefilter\nmetadata: {name: filter}\nspec: {deny: [198.51.100.0/24, 203.0.113.0/24, 192.0.0.0/24]}\n---\n";

fn on_card(gateway: &Gateway) -> Option<CardState> {
    gateway.world.cards().placed().unwrap().into_iter().next()
}

fn entries(gateway: &Gateway, table: CardTable) -> usize {
    gateway.world.cards().entries(ETH0, table).map_or(0, |entries| entries.len())
}

async fn stage(gateway: &Gateway, stage: &'static str) -> StageStatus {
    let views = gateway.handle.read(|engine| engine.gateway_views(None)).await.unwrap().unwrap();
    let link = views[0].status.as_ref().unwrap().status.links[0].clone();
    link.stages.into_iter().find(|status| status.stage == stage).unwrap()
}

async fn offloaded(gateway: &Gateway) -> Option<Condition> {
    let views = gateway.handle.read(|engine| engine.gateway_views(None)).await.unwrap().unwrap();
    let conditions = views[0].status.as_ref().unwrap().status.conditions.clone();
    conditions.into_iter().find(|condition| condition.kind == "Offloaded")
}

async fn until_on_card(gateway: &Gateway, program: CardProgram) {
    gateway
        .until("the program is on the card", async || {
            on_card(gateway).is_some_and(|state| state.actual.runs() && state.program == program)
        })
        .await;
}

#[tokio::test]
async fn what_is_planned_is_on_the_card() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway
        .apply(&[self::gateway(""), DENY.to_owned(), web("[{address: 10.0.1.1}]")].concat())
        .await
        .unwrap();
    until_on_card(&gateway, CardProgram::Both).await;
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 2);
    assert_eq!(entries(&gateway, CardTable::Services4), 1);
    let status = stage(&gateway, "service").await;
    assert_eq!(status.placement, Some(Placement::NicXdp));
    assert_eq!(
        (status.requested, status.behind),
        (Some(Placement::NicXdp), Some(Placement::HostXdp))
    );
    let condition = offloaded(&gateway).await.unwrap();
    assert_eq!((condition.status, &*condition.reason), (ConditionStatus::True, "AsPlanned"));
    assert!(!gateway.events(&[EventKind::CardPlaced]).is_empty());
}

#[tokio::test]
async fn a_card_for_two_holds_two_and_the_host_all() {
    let gateway = start(world(CardBehaviour::two_entries()), "netdevsim-6.12").await;
    gateway.apply(&[self::gateway(""), THREE.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 2);
    let status = stage(&gateway, "prefilter").await;
    assert_eq!((status.holds[0].held, status.holds[0].of), (2, 3));
    assert_eq!(status.holds[0].left_out[0].entries, 1);
}

#[tokio::test]
async fn a_card_that_takes_less_than_its_profile_says_is_given_less() {
    let limited = CardBehaviour { max_entries: Some(8), ..CardBehaviour::default() };
    let gateway = start(world(limited), "nfp").await;
    let prefixes: Vec<_> = (0..40).map(|i| format!("198.51.{i}.0/24")).collect();
    let filter = format!(
        "kind: Prefilter\nmetadata: {{name: filter}}\nspec: {{deny: [{}]}}\n---\n",
        prefixes.join(", ")
    );
    gateway.apply(&[self::gateway(""), filter].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 8);
}

#[tokio::test]
async fn a_refusal_is_told_and_the_plan_is_reached_when_it_is_over() {
    let refusal = CardNo::new(Errno::EBUSY, "driver and netdev offload states mismatch.");
    let behaviour =
        CardBehaviour { xdp: Some(refusal.clone()), tc: Some(refusal), ..CardBehaviour::default() };
    let gateway = start(world(behaviour), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    gateway
        .until("the refusal is told", async || {
            !gateway.events(&[EventKind::CardRefused]).is_empty()
                && stage(&gateway, "prefilter").await.not_chosen.iter().any(|other| {
                    other.evidence.as_ref().is_some_and(|words| words.contains("states mismatch"))
                })
        })
        .await;
    let status = stage(&gateway, "prefilter").await;
    assert_eq!(
        (status.placement, status.requested),
        (Some(Placement::HostXdp), Some(Placement::NicXdp))
    );
    assert_eq!(offloaded(&gateway).await.unwrap().status, ConditionStatus::False);
    assert!(on_card(&gateway).is_none(), "nothing is left");
    assert!(gateway.handle.readiness().ready, "the host does it");
    gateway.world.change_card(ETH0, |card| (card.xdp, card.tc) = (None, None));
    until_on_card(&gateway, CardProgram::Prefilter).await;
    gateway
        .until("the condition is told", async || {
            offloaded(&gateway).await.unwrap().status == ConditionStatus::True
        })
        .await;
}

#[tokio::test]
async fn while_xdp_is_refused_tc_takes_what_it_can() {
    let behaviour =
        CardBehaviour { xdp: Some(CardNo::new(Errno::EINVAL, "no")), ..CardBehaviour::default() };
    let gateway = start(world(behaviour), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    let status = stage(&gateway, "prefilter").await;
    assert_eq!(
        (status.placement, status.requested),
        (Some(Placement::NicTc), Some(Placement::NicXdp))
    );
    let condition = offloaded(&gateway).await.unwrap();
    assert_eq!((condition.status, &*condition.reason), (ConditionStatus::False, "CardRefused"));

    // What stands in has no lead: the plan is reached when the refusal is over.
    gateway.world.change_card(ETH0, |card| card.xdp = None);
    gateway
        .until("XDP takes over", async || {
            let status = stage(&gateway, "prefilter").await;
            assert_eq!(status.requested, Some(Placement::NicXdp));
            status.placement == Some(Placement::NicXdp)
        })
        .await;
}

#[tokio::test]
async fn what_stands_in_stays_while_the_better_place_is_tried() {
    let behaviour =
        CardBehaviour { xdp: Some(CardNo::new(Errno::EINVAL, "no")), ..CardBehaviour::default() };
    let gateway = start(world(behaviour), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    let before = on_card(&gateway).unwrap().program_id;
    // The first tries are after one and three seconds.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(on_card(&gateway).unwrap().program_id, before);
    assert_eq!(stage(&gateway, "prefilter").await.placement, Some(Placement::NicTc));
    assert_eq!(gateway.events(&[EventKind::CardRefused]).len(), 1);
}

#[tokio::test]
async fn a_probe_during_a_refusal_is_not_the_last_word() {
    let prober = known("nfp");
    let world = world(CardBehaviour::default());
    let cards = Box::new(world.cards());
    let gateway = start_with(world, cards, Arc::clone(&prober)).await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    *prober.0.lock().unwrap() = "refusing nfp";
    let no = || Some(CardNo::new(Errno::EINVAL, REFUSED));
    gateway.world.change_card(ETH0, |card| (card.xdp, card.tc) = (no(), no()));
    gateway.world.tear_off_card(ETH0);
    gateway
        .until("the probe is told", async || {
            let told = gateway.events(&[EventKind::CardRefused]);
            told.iter().any(|event| event.message.contains("takes no programs any more"))
        })
        .await;
    let until_condition = async |reason: &str| {
        gateway
            .until("the condition is told", async || {
                offloaded(&gateway).await.unwrap().reason == reason
            })
            .await;
        offloaded(&gateway).await.unwrap()
    };
    let condition = until_condition("CardRefused").await;
    assert!(condition.message.contains(REFUSED), "{condition:?}");
    let status = stage(&gateway, "prefilter").await;
    assert_eq!(
        (status.placement, status.requested),
        (Some(Placement::HostXdp), Some(Placement::NicXdp))
    );
    // Nobody tells that it is over.
    *prober.0.lock().unwrap() = "nfp";
    gateway.world.change_card(ETH0, |card| (card.xdp, card.tc) = (None, None));
    until_on_card(&gateway, CardProgram::Prefilter).await;
    until_condition("AsPlanned").await;
}

#[tokio::test]
async fn the_command_has_a_link_probed_at_once() {
    let prober = known("refusing nfp");
    let world = world(CardBehaviour::default());
    let cards = Box::new(world.cards());
    let gateway = start_with(world, cards, Arc::clone(&prober)).await;
    let server = Server::of(gateway).await;
    server.gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    server
        .gateway
        .until("it is probed", async || {
            let others = stage(&server.gateway, "prefilter").await.not_chosen;
            others.iter().any(|other| other.reason.contains("runs no XDP"))
        })
        .await;
    // Nobody expects more of this card: it is not probed again by itself.
    *prober.0.lock().unwrap() = "nfp";
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(on_card(&server.gateway).is_none());
    let (code, text, _) = server.sluice("probe eth0").await;
    assert!(code == 0 && text.contains("the link is being probed"), "{text}");
    until_on_card(&server.gateway, CardProgram::Prefilter).await;
    let (code, text, _) = server.sluice("probe eth0").await;
    assert!(code == 0 && text.contains("cannot be probed"), "{text}");
    let (code, _, text) = server.sluice("probe eth9").await;
    assert!(code == 1 && text.contains("eth9 is no link of the gateway"), "{text}");
}

#[tokio::test]
async fn somebody_elses_program_stays_and_is_named() {
    let world = world(CardBehaviour::default());
    let filter = ForeignFilter {
        kind: "flower".to_owned(),
        name: String::new(),
        priority: 7,
        handle: 1,
        program: None,
    };
    world.set_card_foreign(ETH0, vec![CardForeign::Filter(filter)]);
    let gateway = start(world, "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    gateway
        .until("it is named", async || {
            let status = stage(&gateway, "prefilter").await;
            status.not_chosen.iter().any(|other| other.reason.contains("somebody else"))
        })
        .await;
    gateway.world.set_card_foreign(ETH0, Vec::new());
    until_on_card(&gateway, CardProgram::Prefilter).await;
}

#[tokio::test]
async fn a_program_that_was_taken_off_comes_back() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    gateway.world.tear_off_card(ETH0);
    gateway
        .until("the loss is told", async || {
            let lost = gateway.events(&[EventKind::CardLost]);
            lost.iter().any(|event| event.message.contains("the host does what the card did"))
        })
        .await;
    until_on_card(&gateway, CardProgram::Prefilter).await;
}

#[tokio::test]
async fn a_card_that_is_gone_and_back_is_used_again() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    gateway.world.remove_link(ETH0);
    gateway.until("nothing is left", async || on_card(&gateway).is_none()).await;
    let mut back = common::link(7, "eth0");
    back.ifindex = 7;
    gateway.world.set_link(back);
    gateway.world.set_card(7, Some(CardBehaviour::default()));
    gateway
        .until("the new card is used", async || {
            on_card(&gateway).is_some_and(|state| state.link.ifindex == 7 && state.actual.runs())
        })
        .await;
}

#[tokio::test]
async fn what_a_dead_daemon_left_is_taken_off_before_anything_changes() {
    let world = world(CardBehaviour::default());
    let first = start(world.clone(), "nfp").await;
    first.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&first, CardProgram::Prefilter).await;
    let before = on_card(&first).unwrap().program_id;
    drop(first.stop().await);
    // The state directory is another one: nothing is configured any more.
    let second = start(world, "nfp").await;
    assert!(on_card(&second).is_none(), "{before}");
    assert!(!second.events(&[EventKind::CardLost]).is_empty());
}

#[tokio::test]
async fn a_card_that_fails_while_it_is_written_is_taken_off_and_the_host_changes() {
    let world = world(CardBehaviour::default());
    let faults = chaos::Faults::none();
    let cards = Box::new(chaos::Cards::new(world.cards(), faults.clone()));
    let gateway = start_with(world, cards, known("nfp")).await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    for (call, errno) in
        [("upsert", Errno::E2BIG), ("upsert", Errno::ENOMEM), ("delete", Errno::ENODEV)]
    {
        let (before, after) = if call == "delete" { (THREE, DENY) } else { (DENY, THREE) };
        gateway.apply(&[self::gateway(""), before.to_owned()].concat()).await.unwrap();
        until_on_card(&gateway, CardProgram::Prefilter).await;
        let told = gateway.events(&[EventKind::CardRefused]).len();
        faults.fail_call(call, 1, errno);
        gateway.apply(&[self::gateway(""), after.to_owned()].concat()).await.unwrap();
        assert!(gateway.handle.readiness().ready);
        assert!(gateway.events(&[EventKind::CardRefused]).len() > told, "{call} {errno}");
        until_on_card(&gateway, CardProgram::Prefilter).await;
    }
}

#[tokio::test]
async fn a_card_that_can_neither_forget_nor_be_taken_off_stops_the_change() {
    let world = world(CardBehaviour::default());
    let faults = chaos::Faults::none();
    let cards = Box::new(chaos::Cards::new(world.cards(), faults.clone()));
    let gateway = start_with(world, cards, known("nfp")).await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    let before = gateway.contents();
    faults.fail_call("delete", 1, Errno::EIO);
    faults.fail_call("remove", 1, Errno::EIO);
    let filter =
        "kind: Prefilter\nmetadata: {name: filter}\nspec: {deny: [198.51.100.0/24]}\n---\n";
    gateway.apply(filter).await.unwrap_err();
    assert_eq!(gateway.contents(), before, "the host is as it was");
    gateway.apply(filter).await.unwrap();
}

/// So long the driver of a slow card verifies.
const SLOW: Duration = Duration::from_millis(1500);
/// Nobody waits so long for a change of the host.
const SOON: Duration = Duration::from_millis(750);

fn slow() -> CardBehaviour {
    CardBehaviour { delay: SLOW, ..CardBehaviour::default() }
}

#[tokio::test]
async fn the_host_changes_while_a_card_verifies() {
    let gateway = start(world(slow()), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    gateway
        .until("the program is being loaded", async || {
            stage(&gateway, "prefilter").await.reason.contains("being loaded")
        })
        .await;
    let began = Instant::now();
    let before = gateway.contents();
    gateway.apply(THREE).await.unwrap();
    assert!(began.elapsed() < SOON, "a change of the host waits for the card");
    assert_ne!(gateway.contents(), before);
    let status = stage(&gateway, "prefilter").await;
    assert_eq!(
        (status.placement, status.requested),
        (Some(Placement::HostXdp), Some(Placement::NicXdp))
    );
    let condition = offloaded(&gateway).await.unwrap();
    assert_eq!((condition.status, &*condition.reason), (ConditionStatus::False, "Loading"));
    assert!(on_card(&gateway).is_none() && began.elapsed() < SLOW);
    until_on_card(&gateway, CardProgram::Prefilter).await;
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 3, "what is true at the end");
    gateway
        .until("the condition is told", async || {
            offloaded(&gateway).await.unwrap().status == ConditionStatus::True
        })
        .await;
    assert!(gateway.events(&[EventKind::CardRefused]).is_empty());
}

#[tokio::test]
async fn while_the_next_program_is_verified_the_old_one_holds_what_is_true() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway.apply(&[self::gateway(""), THREE.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    let first = on_card(&gateway).unwrap().program_id;
    gateway.world.change_card(ETH0, |card| card.delay = SLOW);
    let began = Instant::now();
    // One prefix less, and so many more that its table has to grow.
    let more: Vec<_> = (0..40).map(|i| format!("198.18.{i}.0/24")).collect();
    let filter = DENY.replace("203.0.113.0/24", &format!("203.0.113.0/24, {}", more.join(", ")));
    gateway.apply(&filter).await.unwrap();
    assert!(began.elapsed() < SOON, "a change of the host waits for the card");
    let state = on_card(&gateway).unwrap();
    assert_eq!((state.program, state.program_id), (CardProgram::Prefilter, first));
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 2, "what is not true is withdrawn");
    assert_eq!(stage(&gateway, "prefilter").await.placement, Some(Placement::NicXdp));
    assert!(began.elapsed() < SLOW);
    gateway
        .until("the next program is there", async || {
            on_card(&gateway).is_some_and(|state| state.program_id != first)
        })
        .await;
    assert_eq!(entries(&gateway, CardTable::Prefixes4), 42);
}

#[tokio::test]
async fn a_program_that_is_not_wanted_any_more_is_not_put_on_a_card() {
    let gateway = start(world(slow()), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    gateway
        .until("the program is being loaded", async || {
            stage(&gateway, "prefilter").await.reason.contains("being loaded")
        })
        .await;
    gateway.apply(&self::gateway(", offload: off")).await.unwrap();
    tokio::time::sleep(SLOW + SOON).await;
    assert!(on_card(&gateway).is_none());
    assert!(gateway.events(&[EventKind::CardPlaced, EventKind::CardRefused]).is_empty());
}

#[tokio::test]
async fn what_a_slow_card_refuses_in_the_end_is_told() {
    let refusal = CardNo::new(Errno::EINVAL, "jump to an instruction that is not there");
    let behaviour = CardBehaviour { verify: Some(refusal), ..slow() };
    let gateway = start(world(behaviour), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    gateway
        .until("the refusal is told", async || {
            let told = gateway.events(&[EventKind::CardRefused]);
            told.iter().any(|event| event.message.contains("that is not there"))
        })
        .await;
    assert!(gateway.handle.readiness().ready, "the host does it");
    gateway.world.change_card(ETH0, |card| *card = CardBehaviour::default());
    until_on_card(&gateway, CardProgram::Prefilter).await;
}

#[tokio::test]
async fn who_requires_a_slow_card_waits_for_it() {
    let gateway = start(world(slow()), "nfp").await;
    let pin = ", placements: [{stage: prefilter, placement: nic-xdp, policy: require}]";
    gateway.apply(&[self::gateway(pin), DENY.to_owned()].concat()).await.unwrap();
    assert!(on_card(&gateway).is_some_and(|state| state.actual.runs()));
}

#[tokio::test]
async fn what_is_required_and_not_possible_refuses_the_change() {
    let gateway = start(world(CardBehaviour::default()), "mlx5").await;
    let pin = ", placements: [{stage: prefilter, placement: nic-xdp, policy: require}]";
    let error = gateway.apply(&[self::gateway(pin), DENY.to_owned()].concat()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("spec.links[0].placements[0]") && text.contains("runs no XDP programs"),
        "{text}"
    );
    assert!(
        gateway.handle.read(|engine| engine.gateway_views(None)).await.unwrap().unwrap().is_empty()
    );
}

#[tokio::test]
async fn what_is_required_and_possible_is_there_at_once() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    let pin = ", placements: [{stage: prefilter, placement: nic-tc, policy: require}]";
    gateway.apply(&[self::gateway(pin), DENY.to_owned()].concat()).await.unwrap();
    assert_eq!(stage(&gateway, "prefilter").await.placement, Some(Placement::NicTc));
}

#[tokio::test]
async fn offload_off_takes_everything_off_the_card() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Prefilter).await;
    gateway.apply(&self::gateway(", offload: off")).await.unwrap();
    gateway.until("the card is free", async || on_card(&gateway).is_none()).await;
}

#[tokio::test]
async fn counters_of_card_and_host_are_one_and_survive_the_card() {
    let gateway = start(world(CardBehaviour::default()), "nfp").await;
    gateway.apply(&[self::gateway(""), web("[{address: 10.0.1.1}]")].concat()).await.unwrap();
    until_on_card(&gateway, CardProgram::Service).await;
    let counted = Count { packets: 70, bytes: 7000 };
    gateway.world.on_card(ETH0, card_tables::SENT, &0, |sent: &mut Count| *sent = counted);
    gateway.world.on_card(ETH0, card_tables::COUNTS, &0, |counts: &mut CardCounts| {
        counts.sent = counted;
        counts.missed = 5;
    });
    gateway.world.count(Reason::SentEncapsulated, 30, 3000);
    let read = async || gateway.handle.read(|engine| engine.counters()).await.unwrap().unwrap();
    let counters = read().await;
    assert_eq!(counters.traffic.sent_packets, 100);
    let backend = &counters.services[0].backends[0];
    assert_eq!((backend.packets, backend.card_packets), (70, 70));
    let places: Vec<_> =
        counters.placements.iter().map(|place| (&*place.placement, place.sent_packets)).collect();
    assert_eq!(places, [("nic-xdp", 70), ("host", 30)]);
    assert_eq!(counters.placements[0].passed["missed"], 5);
    gateway.apply(&self::gateway(", offload: off")).await.unwrap();
    gateway.until("the card is free", async || on_card(&gateway).is_none()).await;
    assert_eq!(read().await.traffic.sent_packets, 100);
}

#[tokio::test]
async fn the_command_explains_and_supposes() {
    let server = Server::of(start(world(CardBehaviour::default()), "mlx5").await).await;
    server.gateway.apply(&[self::gateway(""), DENY.to_owned()].concat()).await.unwrap();
    server
        .gateway
        .until("it is probed", async || {
            stage(&server.gateway, "prefilter")
                .await
                .not_chosen
                .iter()
                .any(|o| o.reason.contains("runs no XDP"))
        })
        .await;
    let (code, text, _) = server.sluice("explain prefilter eth0").await;
    assert_eq!(code, 0);
    assert!(
        text.contains("not nic-xdp: the card runs no XDP programs") && text.contains("known by:"),
        "{text}"
    );
    assert!(text.contains("would change it: a card that runs XDP programs"), "{text}");
    let (code, text, _) = server.sluice("plan --profile nfp").await;
    assert_eq!(code, 0);
    assert!(text.contains("nic-xdp") && text.contains("holds 2 of 2 IPv4 prefixes"), "{text}");
    let (_, text, _) = server.sluice("plan").await;
    assert!(text.contains("the card runs no XDP programs"), "{text}");
    let (code, _, text) = server.sluice("plan --profile nowhere.json").await;
    assert!(code == 1 && text.contains("these come with Sluice: "), "{text}");
    let (code, _, text) = server.sluice("explain prefilter eth9").await;
    assert!(code == 1 && text.contains("eth9 is no link"), "{text}");
    let (_, text, _) = server.sluice("status").await;
    assert!(text.contains("prefilter=host-xdp"), "{text}");
}
