use super::Faults;
use crate::{
    CardEntry, CardForeign, CardHook, CardRequest, CardState, CardStep, LinkName, Placed, Removed,
    Result, card::check,
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
        let link = LinkName { name: format!("#{ifindex}"), ifindex };
        let words = || Some("made to fail".to_owned());
        self.faults.check(call).map_err(|errno| check::refused(&link, step, errno, words()))
    }
}

impl<C: crate::Cards> crate::Cards for Cards<C> {
    fn place(&mut self, request: &CardRequest) -> Result<Placed> {
        let (ifindex, hook) = (request.ifindex, request.hook);
        self.check("place", ifindex, CardStep::Hook(hook))?;
        if let Some(&table) = request.program.tables().last() {
            let entries = request.sizes.get(table);
            self.check("place-table", ifindex, CardStep::Table { table, entries })?;
        }
        self.check("place-bind", ifindex, CardStep::Bind)?;
        self.check("place-verify", ifindex, CardStep::Verify)?;
        self.check("place-hook", ifindex, CardStep::Hook(hook))?;
        self.check("place-read-back", ifindex, CardStep::ReadBack)?;
        self.inner.place(request)
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
