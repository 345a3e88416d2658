use super::Packet;
use crate::abi::Plain;

/// What the kernel leaves free in front of an XDP packet.
pub const HEADROOM: usize = 256;

/// A packet in memory, with [`HEADROOM`]. Its storage is words, for alignment.
pub struct MemoryPacket {
    words: Vec<u64>,
    start: usize,
    end: usize,
    tail: usize,
    /// The first byte that the frame may grow to.
    first: usize,
}

impl MemoryPacket {
    /// The frame `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut packet = Self { words: Vec::new(), start: 0, end: 0, tail: 0, first: 0 };
        packet.reset(bytes);
        packet
    }

    /// Makes it the frame `bytes`, keeping the storage.
    pub fn reset(&mut self, bytes: &[u8]) {
        let end = HEADROOM + bytes.len();
        self.words.clear();
        self.words.resize(end.div_ceil(8), 0);
        (self.start, self.end, self.tail) = (HEADROOM, end, end);
        self.first = FRAME_METADATA;
        self.storage_mut()[HEADROOM..end].copy_from_slice(bytes);
    }

    /// Leaves room for at most this many bytes in front of the frame, as some drivers do.
    pub fn limit_headroom(&mut self, bytes: usize) {
        self.first = self.first.max(self.start.saturating_sub(bytes));
    }

    /// The frame.
    pub fn bytes(&self) -> &[u8] {
        &self.storage()[self.start..self.end]
    }

    #[allow(unsafe_code)]
    fn storage(&self) -> &[u8] {
        // SAFETY: any initialised memory can be read as bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    #[allow(unsafe_code)]
    fn storage_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `storage`, and any bytes make words.
        unsafe {
            std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8)
        }
    }
}

impl Packet for MemoryPacket {
    fn len(&self) -> usize {
        self.end - self.start
    }

    #[allow(unsafe_code)]
    fn at<T: Plain>(&self, offset: usize) -> Option<&T> {
        let bytes = self.bytes().get(offset..offset.checked_add(size_of::<T>())?)?;
        let pointer = bytes.as_ptr().cast::<T>();
        assert!(pointer.is_aligned());
        // SAFETY: in bounds and aligned; `Plain` takes any bytes.
        Some(unsafe { &*pointer })
    }

    #[allow(unsafe_code)]
    fn at_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T> {
        let range = offset..offset.checked_add(size_of::<T>())?;
        let (start, end) = (self.start, self.end);
        let bytes = self.storage_mut()[start..end].get_mut(range)?;
        let pointer = bytes.as_mut_ptr().cast::<T>();
        assert!(pointer.is_aligned());
        // SAFETY: as in `at`.
        Some(unsafe { &mut *pointer })
    }

    fn adjust_head(&mut self, delta: i32) -> bool {
        match self.start.checked_add_signed(delta as isize) {
            // The kernel leaves at least an Ethernet header and keeps part of the headroom for itself.
            Some(start) if start + 14 <= self.end && start >= self.first => {
                self.start = start;
                true
            }
            _ => false,
        }
    }

    fn adjust_tail(&mut self, delta: i32) -> bool {
        match self.end.checked_add_signed(delta as isize) {
            Some(end) if end >= self.start + 14 && end <= self.tail => {
                self.end = end;
                true
            }
            _ => false,
        }
    }
}

/// `struct xdp_frame` stands at the start of the headroom.
const FRAME_METADATA: usize = 40;
