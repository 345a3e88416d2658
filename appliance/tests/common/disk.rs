//! A disk in memory whose power can be cut at any write: what was written since the last sync may be there or not.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// A disk. Copies are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What is there in any case.
    durable: Vec<u8>,
    /// What a reader sees while the power is on.
    seen: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
    operations: u64,
    written: u64,
    cut_at: Option<u64>,
    fails: bool,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// Which of the unsynced operations reached the disk.
#[derive(Clone, Copy, Debug)]
pub enum Reached {
    None,
    All,
    Even,
    Odd,
    /// All but the last, of which the first half did.
    HalfOfLast,
    /// The last only.
    Last,
}

impl Reached {
    pub const ALL: [Self; 6] =
        [Self::None, Self::All, Self::Even, Self::Odd, Self::HalfOfLast, Self::Last];
}

impl Operation {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(offset, bytes) => {
                if image.len() < offset + bytes.len() {
                    image.resize(offset + bytes.len(), 0);
                }
                image[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk {
    /// A disk with this image.
    fn with(image: Vec<u8>) -> Self {
        let state = State { durable: image.clone(), seen: image, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A copy with the same bytes on it.
    pub fn twin(&self) -> Self {
        Self::with(self.0.lock().unwrap().seen.clone())
    }

    /// Cuts the power at the so many-th operation from now.
    pub fn cut_at(&self, operation: u64) {
        let mut state = self.0.lock().unwrap();
        state.cut_at = Some(state.operations + operation);
    }

    /// Whether the power was cut.
    pub fn is_cut(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.cut_at.is_some_and(|at| state.operations >= at)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.0.lock().unwrap().written
    }

    /// Whether every operation fails, as on a full disk.
    pub fn fail(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    /// The disk when the power is back.
    pub fn after_cut(&self, reached: Reached) -> Self {
        let state = self.0.lock().unwrap();
        let mut image = state.durable.clone();
        let last = state.unsynced.len().saturating_sub(1);
        for (number, operation) in state.unsynced.iter().enumerate() {
            let is_there = match reached {
                Reached::None => false,
                Reached::All => true,
                Reached::Even => number % 2 == 0,
                Reached::Odd => number % 2 == 1,
                Reached::HalfOfLast => true,
                Reached::Last => number == last,
            };
            match (operation, reached) {
                (Operation::Write(offset, bytes), Reached::HalfOfLast) if number == last => {
                    let half = bytes[..bytes.len() / 2].to_vec();
                    Operation::Write(*offset, half).apply(&mut image);
                }
                (operation, _) if is_there => operation.apply(&mut image),
                _ => {}
            }
        }
        Self::with(image)
    }

    fn operate(&self, operation: Option<Operation>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.fails {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        if state.cut_at.is_some_and(|at| state.operations >= at) {
            return Err(io::Error::other("there is no power"));
        }
        state.operations += 1;
        let is_last = state.cut_at.is_some_and(|at| state.operations >= at);
        match operation {
            Some(operation) => {
                if let Operation::Write(_, bytes) = &operation {
                    state.written += bytes.len() as u64;
                }
                operation.apply(&mut state.seen);
                state.unsynced.push(operation);
            }
            // A sync during which the power is cut may have done a part.
            None if is_last => {}
            None => {
                state.unsynced.clear();
                state.durable = state.seen.clone();
            }
        }
        if is_last { Err(io::Error::other("the power was cut")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let offset = offset as usize;
        let bytes = state.seen.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.operate(Some(Operation::Length(length as usize)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(Some(Operation::Write(offset as usize, data.to_vec())))
    }
}
