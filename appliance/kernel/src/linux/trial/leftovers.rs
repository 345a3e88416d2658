//! What a killed process left behind.

use super::{NAME, Trials, filter, security};
use crate::{
    Error, Object, Result,
    linux::{
        netlink::Refusal,
        xdp::{describe, programs_on, remove},
    },
};

impl Trials {
    /// Removes from the link, and from the network namespace where the object is of no link, what an earlier trial left.
    /// Returns what that was.
    ///
    /// # Errors
    /// [`Error::Kernel`] with the kernel's refusal.
    pub fn remove_leftovers(&self) -> Result<Vec<String>> {
        let mut found = self.remove_leftovers_on_link()?;
        if security::remove_leftovers()
            .map_err(|refusal| self.failed("remove the SA of an earlier trial", refusal))?
        {
            found.push("security association".to_owned());
        }
        Ok(found)
    }

    /// Removes from the link what an earlier trial left, and asks nothing of IPsec: the kernel would load modules to answer.
    ///
    /// # Errors
    /// As [`Trials::remove_leftovers`].
    pub fn remove_leftovers_on_link(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (mode, id) in programs_on(&self.link)? {
            let program = describe(&self.kernel, &self.link, mode, id)?;
            // What a bpf_link holds is of a process that lives.
            if program.name == NAME && program.bpf_link.is_none() {
                remove(&self.kernel, &self.link, &program)?;
                found.push(format!("XDP program {id} in {mode} mode"));
            }
        }
        match self.put_back_leftovers()? {
            0 => {}
            count => found.push(format!("{count} programs of others, put back")),
        }
        if filter::remove_leftovers(self.link.ifindex)
            .map_err(|refusal| self.failed("remove the filters of an earlier trial", refusal))?
        {
            found.push("filters at ingress".to_owned());
        }
        Ok(found)
    }

    fn failed(&self, operation: &'static str, refusal: Refusal) -> Error {
        let Refusal { errno, text } = refusal;
        Error::Kernel { object: Object::Link(self.link.clone()), operation, errno, kernel: text }
    }
}
