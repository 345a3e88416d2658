//! What is measured of services and prefixes, host and cards together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sluice_datapath::abi::{PrefilterHit, ip_address};
use sluice_model::Name;
use sluice_planner::card::{Heat, HeatMeter};

use crate::engine::Engine;

/// Counters are read for it so often.
const PERIOD: Duration = Duration::from_secs(5);

/// The rates, and when they were last measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    meter: HeatMeter,
    heat: Heat,
    last: Option<Instant>,
}

impl Measured {
    pub(super) const fn heat(&self) -> &Heat {
        &self.heat
    }

    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= PERIOD)
    }
}

impl Engine {
    /// Measures anew when it is time; whether it did.
    pub(in crate::engine) fn measure_heat(&mut self) -> sluice_kernel::Result<bool> {
        if !self.cards.heat.is_due() {
            return Ok(false);
        }
        let elapsed = self.cards.heat.last.map_or(Duration::ZERO, |last| last.elapsed());
        let services = self.packets_of_services()?;
        let prefixes = self.packets_of_prefixes()?;
        let measured = &mut self.cards.heat;
        // The first reading is where all others begin.
        measured.meter.observe(elapsed.max(Duration::from_millis(1)), services, prefixes);
        measured.heat = measured.meter.heat();
        measured.last = Some(Instant::now());
        Ok(true)
    }

    fn packets_of_services(&self) -> sluice_kernel::Result<HashMap<Name, u64>> {
        let (keys, ids): (Vec<_>, Vec<_>) = self.index.backends().unzip();
        let mut packets = HashMap::new();
        for ((key, id), count) in keys.iter().zip(&ids).zip(self.datapath.backend_counts(&ids)?) {
            let on_cards = self.cards.counters.backend(*id).packets;
            *packets.entry(key.service.clone()).or_default() += count.forward.packets + on_cards;
        }
        Ok(packets)
    }

    fn packets_of_prefixes(&self) -> sluice_kernel::Result<HashMap<IpNet, u64>> {
        let mut packets = HashMap::new();
        for (prefix, hits) in host_hits(&self.datapath.prefilter_hits()?) {
            *packets.entry(prefix).or_default() += hits;
        }
        for (prefix, _, count) in self.cards.counters.prefixes() {
            *packets.entry(*prefix).or_default() += count.packets;
        }
        Ok(packets)
    }
}

/// Each CPU has candidates of its own; their votes are a lower bound of their hits.
fn host_hits(hits: &[PrefilterHit]) -> impl Iterator<Item = (IpNet, u64)> {
    hits.iter().filter(|hit| hit.family != 0).filter_map(|hit| {
        let address = ip_address(hit.address, hit.family == 6);
        let prefix = IpNet::new(address, u8::try_from(hit.word.bits()).ok()?).ok()?;
        Some((prefix, hit.votes))
    })
}
