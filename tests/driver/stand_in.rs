//! What the stand-in and the allocator of this program count; contexts as another library has them.
#![allow(
    unsafe_code,
    reason = "functions of a library; a global allocator that counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::ops::Sub;
use std::ptr;

use libloading::Library;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pieces of memory that this thread has asked the host for.
pub(crate) fn host_allocations() -> usize {
    ALLOCATIONS.get()
}

/// What the stand-in counts, in the order of `cuda_stand_in::COUNTERS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub(crate) allocations: u64,
    pub(crate) frees: u64,
    pub(crate) copies: u64,
    pub(crate) synchronisations: u64,
    pub(crate) launches: u64,
    pub(crate) modules: u64,
    pub(crate) calls: u64,
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            frees: self.frees - earlier.frees,
            copies: self.copies - earlier.copies,
            synchronisations: self.synchronisations - earlier.synchronisations,
            launches: self.launches - earlier.launches,
            modules: self.modules - earlier.modules,
            calls: self.calls - earlier.calls,
        }
    }
}

/// The library that the target has loaded already, as another user of it in this process.
pub(crate) struct StandIn(Library);

macro_rules! call {
    ($library:expr, $name:literal, $type:ty, $($arg:expr),*) => {{
        // SAFETY: the stand-in declares this name with this type.
        let function = unsafe { $library.0.get::<$type>($name) }.unwrap();
        // SAFETY: pointers are to live places for what the function writes.
        let code = unsafe { function($($arg),*) };
        assert_eq!(code, 0, $name);
    }};
}

impl StandIn {
    pub(crate) fn new() -> Self {
        // SAFETY: the search path of this process leads to the stand-in.
        Self(unsafe { Library::new("libcuda.so.1") }.unwrap())
    }

    pub(crate) fn counters(&self) -> Counters {
        type Read = unsafe extern "C" fn(*mut u64) -> c_int;
        let mut numbers = [0_u64; 7];
        call!(self, "cudaStandInCounters", Read, numbers.as_mut_ptr());
        let [
            allocations,
            frees,
            copies,
            synchronisations,
            launches,
            modules,
            calls,
        ] = numbers;
        Counters {
            allocations,
            frees,
            copies,
            synchronisations,
            launches,
            modules,
            calls,
        }
    }

    /// Kernels that ran on a stream.
    pub(crate) fn launches_on(&self, stream: *mut c_void) -> u64 {
        type Read = unsafe extern "C" fn(*mut c_void, *mut u64) -> c_int;
        let mut count = 0;
        call!(self, "cudaStandInLaunchesOn", Read, stream, &raw mut count);
        count
    }

    /// Address of the current context of this thread, 0 if it has none.
    pub(crate) fn current(&self) -> usize {
        type Get = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
        let mut context = ptr::null_mut();
        call!(self, "cuCtxGetCurrent", Get, &raw mut context);
        context.addr()
    }

    /// Makes a context that is none of the target's, and current.
    pub(crate) fn new_context(&self) -> usize {
        type Create = unsafe extern "C" fn(*mut *mut c_void, c_uint, c_int) -> c_int;
        let mut context = ptr::null_mut();
        call!(self, "cuCtxCreate_v2", Create, &raw mut context, 0, 0);
        context.addr()
    }
}
