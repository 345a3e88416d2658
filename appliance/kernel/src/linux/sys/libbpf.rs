use super::Kernel;
use libbpf_rs::{
    AsRawLibbpf, Object, ObjectBuilder, OpenProgramMut, PrintLevel, libbpf_sys, set_print,
};
use nix::errno::Errno;
use std::{
    cell::RefCell,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Once,
};

/// Buffer for the verifier's log.
const LOG_BYTES: usize = 4 << 20;

/// A program for a card, to be loaded by libbpf, which unlike the loader of the host's programs knows how to bind a
/// program to a device.
pub(in crate::linux) struct CardLoad<'a> {
    /// The object file.
    pub(in crate::linux) object: &'a [u8],
    /// Its program.
    pub(in crate::linux) program: &'a str,
    /// Its maps, all of them, by name.
    pub(in crate::linux) maps: &'a [(&'static str, BorrowedFd<'a>)],
    /// The link of the card; zero for the host.
    pub(in crate::linux) card: u32,
}

/// Why a program for a card could not be loaded.
pub(in crate::linux) enum CardLoadError {
    /// The object file is not what it should be.
    Object(String),
    /// The kernel or the driver refused it. The log is empty if the verifier did not even begin.
    Refused { errno: Errno, log: String },
}

thread_local! {
    /// What libbpf says while this thread loads something.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn collect(_: PrintLevel, text: String) {
    SAID.with_borrow_mut(|said| said.push(text.trim().trim_start_matches("libbpf: ").to_owned()));
}

/// What libbpf said since it was asked last. Left alone, it would write to the standard error.
fn said() -> String {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        set_print(Some((PrintLevel::Warn, collect)));
    });
    SAID.take().join("; ")
}

impl Kernel {
    /// Loads a program.
    pub(in crate::linux) fn card_load(
        &self,
        load: &CardLoad<'_>,
    ) -> Result<OwnedFd, CardLoadError> {
        let refused = |errno, log| CardLoadError::Refused { errno, log };
        self.check("card_bind").map_err(|errno| refused(errno, String::new()))?;
        self.check("card_verify").map_err(|errno| refused(errno, "made to fail".into()))?;
        drop(said());
        let broken = |what: String| CardLoadError::Object(format!("{what}: {}", said()));
        let mut object = ObjectBuilder::default()
            .open_memory(load.object)
            .map_err(|error| broken(format!("cannot be read ({error})")))?;
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let Some((_, fd)) = load.maps.iter().find(|(known, _)| *known == name) else {
                return Err(CardLoadError::Object(format!("has the unknown map {name}")));
            };
            map.reuse_fd(*fd)
                .map_err(|error| broken(format!("cannot use map {name} ({error})")))?;
        }
        // Lives until the object is loaded or dropped.
        let mut log = vec![0u8; LOG_BYTES];
        let mut found = false;
        for mut program in object.progs_mut() {
            let is_wanted = program.name() == load.program;
            program.set_autoload(is_wanted);
            if is_wanted {
                found = true;
                program.set_ifindex(load.card);
                set_log(&program, &mut log);
            }
        }
        if !found {
            return Err(CardLoadError::Object(format!("has no program {}", load.program)));
        }
        // `OpenObject::load` keeps the number to itself.
        // SAFETY: an open object that nobody else has.
        let result = unsafe { libbpf_sys::bpf_object__load(object.as_libbpf_object().as_ptr()) };
        if result < 0 {
            let length = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            let text = String::from_utf8_lossy(&log[..length]).into_owned();
            return Err(refused(Errno::from_raw(-result), text));
        }
        // SAFETY: the object is loaded, and its owner has given it away.
        let object = unsafe { Object::from_ptr(object.take_ptr()) };
        let program = object.progs().find(|program| program.name() == load.program);
        let fd = program.map(|program| program.as_fd().try_clone_to_owned());
        match fd {
            Some(Ok(fd)) => Ok(fd),
            Some(Err(error)) => Err(refused(
                error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
                String::new(),
            )),
            None => Err(CardLoadError::Object(format!("has no program {}", load.program))),
        }
    }
}

/// Lets the verifier's log go to a buffer, which must outlive the loading.
fn set_log(program: &OpenProgramMut<'_>, log: &mut [u8]) {
    let at = program.as_libbpf_object().as_ptr();
    let length = log.len() as libbpf_sys::size_t;
    // SAFETY: the caller keeps the buffer until the object is loaded or dropped.
    let _ = unsafe { libbpf_sys::bpf_program__set_log_buf(at, log.as_mut_ptr().cast(), length) };
}
