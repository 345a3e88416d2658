use super::Faults;
use crate::{
    CardEntry, CardForeign, CardHook, CardLoader, CardRequest, CardState, CardStep, LinkName,
    LoadedCard, Placed, Removed, Result, card::check,
};
use sluice_datapath::abi::CardTable;

/// Cards whose calls fail on demand, by the names of the trait's methods; `place` also by the points of a program's way
/// (`place-table`, `place-bind`, `place-verify`, `place-hook`, `place-read-back`), of which the first that is to fail
/// is reported. A call that fails does nothing.
pub struct Cards<C> {
    inner: C,
    faults: Faults,
}

impl<C: crate::Cards> Cards<C> {
    /// Wraps cards.
    pub fn new(inner: C, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The wrapped ones.
    pub fn into_inner(self) -> C {
        self.inner
    }

    fn check(&self, call: &'static str, ifindex: u32, step: CardStep) -> Result<()> {
        check_with(&self.faults, call, ifindex, step)
    }

    fn check_hooking(&self, request: &CardRequest) -> Result<()> {
        self.check("place-hook", request.ifindex, CardStep::Hook(request.hook))?;
        self.check("place-read-back", request.ifindex, CardStep::ReadBack)
    }
}

fn check_with(faults: &Faults, call: &'static str, ifindex: u32, step: CardStep) -> Result<()> {
    let link = LinkName { name: format!("#{ifindex}"), ifindex };
    let words = || Some("made to fail".to_owned());
    faults.check(call).map_err(|errno| check::refused(&link, step, errno, words()))
}

fn check_loading(faults: &Faults, request: &CardRequest) -> Result<()> {
    let ifindex = request.ifindex;
    check_with(faults, "place", ifindex, CardStep::Hook(request.hook))?;
    if let Some(&table) = request.program.tables().last() {
        let entries = request.sizes.get(table);
        check_with(faults, "place-table", ifindex, CardStep::Table { table, entries })?;
    }
    check_with(faults, "place-bind", ifindex, CardStep::Bind)?;
    check_with(faults, "place-verify", ifindex, CardStep::Verify)
}

/// Loads with the faults of `place` up to the hook.
struct Loader {
    inner: Box<dyn CardLoader>,
    faults: Faults,
}

impl CardLoader for Loader {
    fn load(&self, request: &CardRequest) -> Result<LoadedCard> {
        check_loading(&self.faults, request)?;
        self.inner.load(request)
    }
}

impl<C: crate::Cards> crate::Cards for Cards<C> {
    fn place(&mut self, request: &CardRequest) -> Result<Placed> {
        check_loading(&self.faults, request)?;
        self.check_hooking(request)?;
        self.inner.place(request)
    }

    fn loader(&self) -> Box<dyn CardLoader> {
        Box::new(Loader { inner: self.inner.loader(), faults: self.faults.clone() })
    }

    fn place_loaded(&mut self, request: &CardRequest, loaded: LoadedCard) -> Result<Placed> {
        self.check_hooking(request)?;
        self.inner.place_loaded(request, loaded)
    }

    fn remove(&mut self, ifindex: u32) -> Result<Option<Removed>> {
        self.check("remove", ifindex, CardStep::Unhook(CardHook::Xdp))?;
        self.inner.remove(ifindex)
    }

    fn placed(&self) -> Result<Vec<CardState>> {
        self.check("placed", 0, CardStep::ReadBack)?;
        self.inner.placed()
    }

    fn foreign(&self, ifindex: u32) -> Result<Vec<CardForeign>> {
        self.check("foreign", ifindex, CardStep::ReadBack)?;
        self.inner.foreign(ifindex)
    }

    fn upsert(&mut self, ifindex: u32, table: CardTable, key: &[u8], value: &[u8]) -> Result<()> {
        self.check("upsert", ifindex, CardStep::Write { table })?;
        self.inner.upsert(ifindex, table, key, value)
    }

    fn delete(&mut self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool> {
        self.check("delete", ifindex, CardStep::Delete { table })?;
        self.inner.delete(ifindex, table, key)
    }

    fn read(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check("read", ifindex, CardStep::Read { table })?;
        self.inner.read(ifindex, table, key)
    }

    fn entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>> {
        self.check("entries", ifindex, CardStep::Read { table })?;
        self.inner.entries(ifindex, table)
    }
}
