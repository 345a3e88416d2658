//! What the cards of this machine can do, asked of the kernel.

use std::path::Path;

use futures_util::future::BoxFuture;
use sluice_hwprobe::{Extent, Options};
use sluice_model::LinkName;
use sluice_profile::Profile;

use crate::engine::CardProber;

/// Probes the links of this machine that have a device behind them. Others have no card, and are not tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MachineProber;

impl CardProber for MachineProber {
    fn probe<'a>(&'a self, link: &'a LinkName) -> BoxFuture<'a, Result<Profile, String>> {
        let link = link.to_string();
        Box::pin(async move {
            let device = format!("/sys/class/net/{link}/device");
            if !Path::new(&device).exists() {
                return Err(format!("the link has no card: there is no {device}"));
            }
            // It waits for the kernel, for seconds if a driver is slow.
            let options = Options { extent: Extent::Programs, ..Options::default() };
            let probing = move || sluice_hwprobe::probe(&link, options);
            match tokio::task::spawn_blocking(probing).await {
                Ok(Ok(found)) => Ok(found.profile),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}
