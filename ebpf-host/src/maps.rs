//! The maps of the host programs and the stages' view of them. The loader sets the real sizes; one entry here
//! only keeps the object small.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, PerCpuArray, ProgramArray, RingBuf},
    helpers::generated::{bpf_jiffies64, bpf_loop},
    macros::btf_map,
};
use core::{cell::UnsafeCell, ffi::c_void};
use sluice_datapath::{
    Program, Step, Tables,
    abi::{
        Address, Backend, BackendCount, Count, Event, FragmentLine, Limit, Move, NatRecord,
        NatTags, PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6, PrefilterHit,
        PrefilterLine4, PrefilterLine6, Reason, RememberedLine, Service, ServiceCounts, Settings,
        Shared64, SourceRange4, SourceRange6, VipLine,
    },
};

/// User space maps these arrays into its memory.
const SHARED: usize = BPF_F_MMAPABLE as usize;

macro_rules! shared {
    ($($name:ident: $value:ty;)+) => {
        $(#[btf_map]
        static $name: Array<$value, 1, SHARED> = Array::new();)+
    };
}

macro_rules! per_cpu {
    ($($name:ident: $value:ty, $entries:expr;)+) => {
        $(#[btf_map]
        static $name: PerCpuArray<$value, { $entries }> = PerCpuArray::new();)+
    };
}

shared! {
    VIP4: VipLine;
    VIP6: VipLine;
    PORT_RANGES: PortRange;
    SERVICES: Service;
    SERVICE_NAMES: [u64; 8];
    SLOTS: Shared64;
    MOVES: Move;
    BACKENDS: Backend;
    SOURCES4: SourceRange4;
    SOURCES6: SourceRange6;
    REMEMBERED: RememberedLine;
    FRAGMENTS: FragmentLine;
    NAT_POOL: Address;
    NAT_TAGS: NatTags;
    NAT_RECORDS: NatRecord;
    PF_CONTROL: PrefilterControl;
    PF4_HEADER: PrefilterHeader4;
    PF4_BITMAP: Shared64;
    PF4_LINES: PrefilterLine4;
    PF6_HEADER: PrefilterHeader6;
    PF6_BITMAP: Shared64;
    PF6_LINES: PrefilterLine6;
}

per_cpu! {
    PF_HITS: PrefilterHit, 1;
    COUNTS: Count, Reason::COUNT;
    BACKEND_COUNTS: BackendCount, 1;
    SERVICE_COUNTS: ServiceCounts, 1;
    LIMITS: Limit, Limit::COUNT as usize;
}

/// The programs behind the fast one, by the number of `sluice_datapath::Program`.
#[btf_map]
pub static PROGRAMS: ProgramArray<{ Program::ALL.len() }> = ProgramArray::new();

#[btf_map]
static EVENTS: RingBuf<Event, 4096> = RingBuf::new();

/// The loader sets it, and the verifier, which knows the value, removes the code that it disables. The cell
/// keeps the compiler from using the value that stands here.
#[repr(transparent)]
struct LoadTime(UnsafeCell<Settings>);

// SAFETY: nobody writes it while programs run.
unsafe impl Sync for LoadTime {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
static SETTINGS: LoadTime = LoadTime(UnsafeCell::new(Settings::NONE));

/// The maps of this object.
pub struct Maps;

macro_rules! entries {
    ($($method:ident $map:ident $value:ty;)+) => {
        $(#[inline(always)]
        fn $method(&self, index: u32) -> Option<&$value> {
            $map.get(index)
        })+
    };
}

macro_rules! on_this_cpu {
    ($($method:ident $map:ident $value:ty;)+) => {
        $(#[inline(always)]
        fn $method(&self, index: u32, write: impl FnOnce(&mut $value)) {
            if let Some(value) = $map.get_ptr_mut(index) {
                // SAFETY: the slot is this CPU's own.
                write(unsafe { &mut *value });
            }
        })+
    };
}

impl Tables for Maps {
    #[inline(always)]
    fn settings(&self) -> &Settings {
        // SAFETY: as for `Sync`.
        unsafe { &*SETTINGS.0.get() }
    }

    #[inline(always)]
    fn now(&self) -> u32 {
        // SAFETY: no arguments. The verifier turns the call into a load.
        (unsafe { bpf_jiffies64() } >> self.settings().tick_shift) as u32
    }

    #[inline(always)]
    fn forget(&self, number: usize) -> usize {
        let Some(scratch) = LIMITS.get_ptr_mut(Limit::SCRATCH) else { return 0 };
        // SAFETY: the slot is this CPU's own. The verifier doesn't follow what is written to a map.
        unsafe {
            let place = &raw mut (*scratch).used;
            place.write_volatile(number as u32);
            place.read_volatile() as usize
        }
    }

    #[inline(always)]
    fn repeat<S: Step>(&self, count: u32, state: &mut S) {
        let turn: unsafe extern "C" fn(u32, *mut c_void) -> i64 = turn::<S>;
        // SAFETY: the callback gets the state and nothing else, and doesn't outlive the call.
        unsafe {
            bpf_loop(count, turn as *mut c_void, core::ptr::from_mut(state).cast(), 0);
        }
    }

    entries! {
        vip4 VIP4 VipLine;
        vip6 VIP6 VipLine;
        port_range PORT_RANGES PortRange;
        service SERVICES Service;
        slot SLOTS Shared64;
        slot_move MOVES Move;
        backend BACKENDS Backend;
        source4 SOURCES4 SourceRange4;
        source6 SOURCES6 SourceRange6;
        remembered REMEMBERED RememberedLine;
        fragments FRAGMENTS FragmentLine;
        nat_pool NAT_POOL Address;
        nat_tags NAT_TAGS NatTags;
        nat_record NAT_RECORDS NatRecord;
        prefilter4_header PF4_HEADER PrefilterHeader4;
        prefilter4_bitmap PF4_BITMAP Shared64;
        prefilter4_line PF4_LINES PrefilterLine4;
        prefilter6_header PF6_HEADER PrefilterHeader6;
        prefilter6_bitmap PF6_BITMAP Shared64;
        prefilter6_line PF6_LINES PrefilterLine6;
    }

    #[inline(always)]
    fn prefilter_control(&self) -> Option<&PrefilterControl> {
        PF_CONTROL.get(0)
    }

    #[inline(always)]
    fn claim_nat_record(&self, index: u32, write: impl FnOnce(&mut NatRecord)) -> bool {
        let Some(record) = NAT_RECORDS.get_ptr_mut(index) else { return false };
        // SAFETY: the caller holds the record's tag, and no stage keeps a reference over a claim.
        write(unsafe { &mut *record });
        true
    }

    on_this_cpu! {
        with_count COUNTS Count;
        with_backend_count BACKEND_COUNTS BackendCount;
        with_service_counts SERVICE_COUNTS ServiceCounts;
        with_prefilter_hit PF_HITS PrefilterHit;
        with_limit LIMITS Limit;
    }

    #[inline(always)]
    fn emit(&self, event: &Event) {
        // A full ring loses the event; the counters have it.
        let _ = EVENTS.output(event, 0);
    }
}

/// One turn of [`Tables::repeat`]; one ends the loop.
unsafe extern "C" fn turn<S: Step>(index: u32, state: *mut c_void) -> i64 {
    // SAFETY: `repeat` passes its state.
    let state = unsafe { &mut *state.cast::<S>() };
    i64::from(!state.step(&Maps, index))
}

/// Keeps a map that only user space uses in the object.
#[inline(always)]
pub fn keep_names() -> bool {
    SERVICE_NAMES.get(0).is_some()
}
