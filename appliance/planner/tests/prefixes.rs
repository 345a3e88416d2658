//! Prefixes that come and go one by one: the same as a table built anew, and at every write what was or what will be.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use common::Gateway;
use ipnet::IpNet;
use proptest::prelude::*;
use sluice_datapath::{
    abi::{Table, address4, address6},
    native::MemoryTables,
    stages::prefilter::{longest4, longest6},
};
use sluice_planner::{Plan, Step, Write};

const GATEWAY: &str = "apiVersion: sluice.dev/v1\nkind: Gateway\nmetadata: {name: gateway}\nspec: {links: [{name: eth0}]}\n";

/// Prefixes with whether they deny; those of each object apart.
type Lists = [Vec<(IpNet, bool)>; 2];

fn yaml(lists: &Lists) -> String {
    let mut yaml = GATEWAY.to_owned();
    for (number, list) in lists.iter().enumerate() {
        let of = |wanted: bool| {
            let prefixes = list.iter().filter(|(_, deny)| *deny == wanted);
            prefixes.map(|(prefix, _)| format!("'{prefix}'")).collect::<Vec<_>>().join(", ")
        };
        let (deny, allow) = (of(true), of(false));
        write!(
            yaml,
            "---\napiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {{name: p{number}}}\nspec: {{deny: [{deny}], allow: [{allow}]}}\n"
        )
        .unwrap();
    }
    yaml
}

fn found(tables: &MemoryTables, source: IpAddr) -> Option<bool> {
    let found = match source {
        IpAddr::V4(source) => longest4(address4(source)[0], tables),
        IpAddr::V6(source) => longest6(&address6(source), tables),
    };
    found.map(|found| found.word.denies())
}

fn naive(lists: &Lists, source: IpAddr) -> Option<bool> {
    let matching = lists.iter().flatten().filter(|(prefix, _)| prefix.contains(&source));
    matching.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, deny)| *deny)
}

/// Objects that did not change stay the same, as they do in the daemon.
fn set(gateway: &mut Gateway, lists: &Lists) {
    let wanted = common::objects(&yaml(lists));
    for (id, entry) in wanted.iter() {
        let is_same = gateway.objects.get(id).is_some_and(|old| old.object == entry.object);
        if !is_same {
            gateway.objects.replace(entry.object.clone(), entry.source.clone(), None);
        }
    }
}

/// Whether all of it is done in the half that is active.
fn is_in_place(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| match step {
        Step::Write(write) => write.table() != Table::PrefilterControl,
        Step::Grow(_) => false,
        _ => true,
    })
}

fn entries(plan: &Plan) -> usize {
    let writes = plan.steps.iter().filter_map(|step| match step {
        Step::Write(write) => Some(write),
        _ => None,
    });
    writes.map(Write::entries).sum()
}

fn net4(number: u32, length: u8) -> IpNet {
    IpNet::new(Ipv4Addr::from(0x0a00_0000 | number).into(), length).unwrap().trunc()
}

fn net6(number: u32, length: u8) -> IpNet {
    let address = 0x2001_0db8_u128 << 96 | u128::from(number) << 64 | u128::from(number);
    IpNet::new(Ipv6Addr::from(address).into(), length).unwrap().trunc()
}

/// So many prefixes of each length that few more or less let no table grow or shrink.
fn many() -> Vec<(IpNet, bool)> {
    let v4 = (0..150_u32).map(|i| net4(0x0020_0000 + i * 0x201, [32, 28, 24, 20][i as usize % 4]));
    let v6 =
        (0..100_u32).map(|i| net6(0x0200_0000 + i * 0x0101_0101, [64, 56, 48, 40][i as usize % 4]));
    let unique: std::collections::BTreeSet<_> = v4.chain(v6).collect();
    unique.into_iter().map(|prefix| (prefix, true)).collect()
}

#[test]
fn one_prefix_more_or_less_costs_what_it_concerns() {
    let mut gateway = Gateway::new();
    let base = many();
    set(&mut gateway, &[base.clone(), Vec::new()]);
    gateway.converge();
    for prefix in [net4(0x0001_0203, 32), net6(7, 64)] {
        for list in [vec![(prefix, true)], vec![(prefix, false)], Vec::new()] {
            set(&mut gateway, &[base.clone(), list.clone()]);
            let plan = gateway.plan().unwrap();
            assert!(is_in_place(&plan) && (1..=2).contains(&entries(&plan)), "{:?}", plan.steps);
            gateway.carry_out(&plan);
            let expected = list.first().map(|(_, deny)| *deny);
            assert_eq!(found(&gateway.tables, prefix.network()), expected);
            assert!(gateway.plan().unwrap().steps.is_empty());
        }
    }
    // One of many in the same object, in the middle.
    let mut fewer = base.clone();
    let (gone, _) = fewer.remove(77);
    set(&mut gateway, &[fewer, Vec::new()]);
    let plan = gateway.plan().unwrap();
    assert!(is_in_place(&plan) && entries(&plan) == 1, "{:?}", plan.steps);
    gateway.carry_out(&plan);
    assert_eq!(found(&gateway.tables, gone.network()), None);
}

#[test]
fn a_length_that_is_not_searched_is_built_anew() {
    let mut gateway = Gateway::new();
    set(&mut gateway, &[many(), Vec::new()]);
    gateway.converge();
    let prefix = net4(0x0001_0200, 31);
    set(&mut gateway, &[many(), vec![(prefix, true)]]);
    let plan = gateway.plan().unwrap();
    assert!(!is_in_place(&plan));
    gateway.carry_out(&plan);
    assert_eq!(found(&gateway.tables, prefix.network()), Some(true));
}

/// Whether an added prefix lies in another one that changes: a lookup under way could miss both.
fn is_torn(before: &Lists, after: &Lists) -> bool {
    let of = |lists: &Lists| -> std::collections::BTreeMap<IpNet, bool> {
        lists.iter().flatten().copied().collect()
    };
    let (was, is) = (of(before), of(after));
    let changed: Vec<_> =
        was.keys().chain(is.keys()).filter(|net| was.get(net) != is.get(net)).collect();
    let added = changed.iter().filter(|net| !was.contains_key(net));
    added.into_iter().any(|new| changed.iter().any(|net| net != new && net.contains(*new)))
}

#[test]
fn a_prefix_that_comes_in_another_that_goes_is_built_anew() {
    let mut gateway = Gateway::new();
    let (wide, narrow) = ((net4(0x0001_0200, 24), true), (net4(0x0001_0210, 28), true));
    set(&mut gateway, &[many(), vec![wide]]);
    gateway.converge();
    set(&mut gateway, &[many(), vec![narrow]]);
    let plan = gateway.plan().unwrap();
    assert!(!is_in_place(&plan), "a packet that looks for the narrow one too early finds neither");
    gateway.carry_out(&plan);
    assert_eq!(found(&gateway.tables, narrow.0.network()), Some(true));
    assert_eq!(found(&gateway.tables, wide.0.network()), None);
}

fn prefix() -> impl Strategy<Value = (IpNet, bool)> {
    let net = prop_oneof![
        (0_u32..0x800, prop::sample::select(vec![20_u8, 24, 28, 32])).prop_map(|(n, l)| net4(n, l)),
        (0_u32..0x40, prop::sample::select(vec![40_u8, 48, 56, 64])).prop_map(|(n, l)| net6(n, l)),
    ];
    (net, any::<bool>())
}

/// Each prefix once, over both lists.
fn lists() -> impl Strategy<Value = Lists> {
    prop::collection::btree_map(
        prefix().prop_map(|(net, _)| net),
        (any::<bool>(), any::<bool>()),
        0..24,
    )
    .prop_map(|prefixes| {
        let mut lists: Lists = Default::default();
        for (prefix, (second, deny)) in prefixes {
            lists[usize::from(second)].push((prefix, deny));
        }
        lists
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn changes_in_place_are_the_same_as_a_table_built_anew(steps in prop::collection::vec(lists(), 1..6)) {
        let base = many();
        let with_base = |lists: &Lists| {
            let mut lists = lists.clone();
            lists[0].splice(0..0, base.iter().copied());
            lists
        };
        let mut gateway = Gateway::new();
        let mut before = with_base(&Lists::default());
        set(&mut gateway, &before);
        gateway.converge();
        let mut lists_before = Lists::default();
        for step in &steps {
            let after = with_base(step);
            set(&mut gateway, &after);
            let plan = gateway.plan().unwrap();
            // Of what stays, some.
            let sources: Vec<IpAddr> = lists_before
                .iter()
                .chain(step)
                .flatten()
                .chain(base.iter().step_by(16))
                .flat_map(|(prefix, _)| [prefix.network(), prefix.broadcast()])
                .collect();
            lists_before = step.clone();
            prop_assert_eq!(is_in_place(&plan), !is_torn(&before, &after));
            for one in &plan.steps {
                gateway.step(one);
                for &source in sources.iter().filter(|_| is_in_place(&plan)) {
                    let (now, was, will) =
                        (found(&gateway.tables, source), naive(&before, source), naive(&after, source));
                    prop_assert!(now == was || now == will, "{source}: {now:?}, was {was:?}, will be {will:?}");
                }
            }
            gateway.state = plan.next.clone();
            for source in sources {
                prop_assert_eq!(found(&gateway.tables, source), naive(&after, source), "{}", source);
            }
            prop_assert!(gateway.plan().unwrap().steps.is_empty());
            before = after;
            gateway.wait(Duration::from_secs(1));
        }
    }
}
