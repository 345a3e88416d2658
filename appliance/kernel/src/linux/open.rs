use super::{
    Datapath, Options,
    clock::Clock,
    host_object::HostObject,
    pins::{Pins, at, remove_all},
    sys::Kernel,
    tables::Tables,
};
use crate::{Errno, Error, Object, Opened, Result, Takeover};
use std::sync::Arc;
use tokio::sync::watch;

pub(super) fn open(options: &Options) -> Result<(Datapath, Opened)> {
    options.sizes.check()?;
    let kernel = Kernel::new(options.faults.clone());
    let pins = Pins::open(&options.pin_directory)?;
    let object = HostObject::parse(&kernel)?;
    let mut notes = Vec::new();
    notes.extend(recover(&kernel, &pins)?);
    let (tables, takeover) = take_over(&kernel, &pins, options)?;
    let clock = Clock::load(&kernel, &object, &tables)?;
    let datapath = Datapath {
        kernel,
        pins,
        object,
        tables: Arc::new(tables),
        staged: None,
        clock,
        cpus: possible_cpus()?,
        alive: watch::channel(()).0,
    };
    for ifindex in datapath.prune_links()? {
        notes.push(format!("forgot the attachment of a link that is gone (index {ifindex})"));
    }
    let attached = datapath.attachments()?;
    Ok((datapath, Opened { takeover, notes, attached }))
}

pub(super) fn possible_cpus() -> Result<usize> {
    aya::util::nr_cpus().map_err(|(path, error)| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Error::kernel(Object::Path(path.into()), "count the possible CPUs", errno)
    })
}

/// Ends a change of tables that an earlier process did not: forwards if a program uses the set that lies aside,
/// else back.
fn recover(kernel: &Kernel, pins: &Pins) -> Result<Option<String>> {
    let (staged, tables) = (pins.staged(), pins.tables());
    if !staged.is_dir() {
        return Ok(None);
    }
    let mut note = "removed tables that an interrupted change left".to_owned();
    if tables.is_dir() && is_used_alone(kernel, pins)? {
        kernel
            .exchange(&staged, &tables)
            .map_err(at(&staged, "put the tables in use into place"))?;
        note = "undid an interrupted change of tables".into();
    }
    remove_all(kernel, &staged)?;
    Ok(Some(note))
}

/// Whether programs on links use the set that lies aside, and none the set in place.
fn is_used_alone(kernel: &Kernel, pins: &Pins) -> Result<bool> {
    let (Ok(staged), Ok(tables)) =
        (Tables::open(kernel, &pins.staged())?, Tables::open(kernel, &pins.tables())?)
    else {
        return Ok(false);
    };
    let mut used = false;
    for ifindex in pins.link_pins()? {
        let path = pins.link(ifindex);
        let look = || at(&path, "look at the pinned attachment");
        let Some(link) = kernel.pinned(&path).map_err(look())? else { continue };
        let info = kernel.link_info(&link).map_err(look())?;
        if info.ifindex().is_none() {
            continue;
        }
        let Some(program) = kernel.program_by_id(info.program).map_err(look())? else { continue };
        let maps = kernel.program_maps(program).map_err(look())?;
        if tables.are_those_of(kernel, &maps)? {
            return Ok(false);
        }
        used |= staged.are_those_of(kernel, &maps)?;
    }
    Ok(used)
}

fn take_over(kernel: &Kernel, pins: &Pins, options: &Options) -> Result<(Tables, Takeover)> {
    let (staged, tables) = (pins.staged(), pins.tables());
    let why = match tables.is_dir() {
        true => match Tables::open(kernel, &tables)? {
            Ok(found) => return Ok((found, Takeover::TakenOver)),
            Err(why) => Some(why),
        },
        false => None,
    };
    // Made aside and put into place in one step, so that a half-made set is never taken over.
    let new = Tables::create(kernel, &options.sizes)?;
    let placed = new.pin(kernel, &staged).and_then(|()| match why {
        Some(_) => {
            kernel.exchange(&staged, &tables).map_err(at(&staged, "put the new tables into place"))
        }
        None => {
            kernel.rename(&staged, &tables).map_err(at(&staged, "put the new tables into place"))
        }
    });
    if let Err(error) = placed {
        let _ = remove_all(kernel, &staged);
        return Err(error);
    }
    remove_all(kernel, &staged)?;
    Ok((new, why.map_or(Takeover::Created, |why| Takeover::Replaced { why })))
}
