//! Memory of a running kernel, as bytes that several host threads may reach.
//!
//! Blocks run on several host threads and share global memory, as on a device. What two of them do
//! to one place without atomic instructions is then as undefined as on a device; the check for
//! conflicts between blocks is there to find it. Kernels whose blocks do use atomic instructions
//! run on one thread. No reference to these bytes is ever made: they are copied in and out through
//! raw pointers.
#![allow(
    unsafe_code,
    reason = "bytes that several threads may write, reached by raw pointers"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Alignment of allocated bytes on the host.
const ALIGN: usize = 64;

/// Owned, zeroed bytes. Pages that nothing touches cost nothing.
#[derive(Debug)]
pub(crate) struct Storage {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the bytes are plain data that any thread may copy; see the head of the file for what
// concurrent access means.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    /// `len` zero bytes, or nothing where the host has no memory for them.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        if len == 0 {
            return Some(Self {
                start: NonNull::dangling(),
                len,
            });
        }
        let layout = Layout::from_size_align(len, ALIGN).ok()?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { start, len })
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> Bytes<'_> {
        Bytes {
            start: self.start.as_ptr(),
            len: self.len,
            owner: PhantomData,
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        let layout = Layout::from_size_align(self.len, ALIGN).expect("checked when allocated");
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), layout) };
    }
}

/// A borrowed range of bytes. Every access is checked against its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    start: *mut u8,
    len: usize,
    owner: PhantomData<&'a Storage>,
}

impl Bytes<'_> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `N` bytes from `at`.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        assert!(
            at <= self.len && N <= self.len - at,
            "checked by the caller"
        );
        // SAFETY: the range lies within the bytes, by the line above.
        let from = unsafe { self.start.add(at) };
        // SAFETY: as above; an array of bytes has no alignment.
        unsafe { from.cast::<[u8; N]>().read() }
    }

    /// `N` bytes at `at` plus each of `steps`, all of which lie in `low..=high - N`.
    #[inline(always)]
    pub(crate) fn gather<const N: usize>(
        &self,
        at: usize,
        steps: &[i32; 32],
        low: i32,
        high: i32,
    ) -> [[u8; N]; 32] {
        let (start, last) = self.reach::<N>(at, low, high);
        let mut data = [[0; N]; 32];
        for lane in 0..32 {
            let step = steps[lane].clamp(low, last);
            // SAFETY: `reach` has checked all steps from `low` to `last`.
            let from = unsafe { start.offset(step as isize) };
            // SAFETY: as above; an array of bytes has no alignment.
            data[lane] = unsafe { from.cast::<[u8; N]>().read() };
        }
        data
    }

    /// Stores `N` bytes of each lane of `mask` at `at` plus its step, in order.
    #[inline(always)]
    pub(crate) fn scatter<const N: usize>(
        &self,
        at: usize,
        steps: &[i32; 32],
        (low, high): (i32, i32),
        mask: u32,
        data: &[[u8; N]; 32],
    ) {
        let (start, last) = self.reach::<N>(at, low, high);
        for lane in 0..32 {
            if mask >> lane & 1 != 0 {
                let step = steps[lane].clamp(low, last);
                // SAFETY: `reach` has checked all steps from `low` to `last`.
                let into = unsafe { start.offset(step as isize) };
                // SAFETY: as above; an array of bytes has no alignment.
                unsafe { into.cast::<[u8; N]>().write(data[lane]) };
            }
        }
    }

    /// The place `at`, and the last step from it at which `N` bytes may be touched, once
    /// `at + low..at + high` is known to lie within the bytes.
    #[inline(always)]
    fn reach<const N: usize>(&self, at: usize, low: i32, high: i32) -> (*mut u8, i32) {
        let first = at.checked_add_signed(low as isize);
        let end = at.checked_add_signed(high as isize);
        let fits = first
            .zip(end)
            .is_some_and(|(f, e)| f + N <= e && e <= self.len);
        assert!(fits && at <= self.len, "checked by the caller");
        // SAFETY: `at` lies within the bytes or at their end.
        let start = unsafe { self.start.add(at) };
        (start, high - N as i32)
    }

    /// Stores `N` bytes at `at`.
    #[inline(always)]
    pub(crate) fn write<const N: usize>(&self, at: usize, value: [u8; N]) {
        assert!(
            at <= self.len && N <= self.len - at,
            "checked by the caller"
        );
        // SAFETY: the range lies within the bytes, by the line above.
        let into = unsafe { self.start.add(at) };
        // SAFETY: as above; an array of bytes has no alignment.
        unsafe { into.cast::<[u8; N]>().write(value) };
    }

    /// Copies out, as many bytes as `into` holds.
    pub(crate) fn copy_to(&self, at: usize, into: &mut [u8]) {
        assert!(at <= self.len && into.len() <= self.len - at);
        // SAFETY: the range lies within the bytes, by the line above.
        let from = unsafe { self.start.add(at) };
        // SAFETY: as above; `into` is not these bytes, to which no reference exists.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
    }

    /// Copies in.
    pub(crate) fn copy_from(&self, at: usize, from: &[u8]) {
        assert!(at <= self.len && from.len() <= self.len - at);
        // SAFETY: the range lies within the bytes, by the line above.
        let into = unsafe { self.start.add(at) };
        // SAFETY: as above; `from` is not these bytes, to which no reference exists.
        unsafe { into.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    /// Sets all bytes from `at` on to `value`, `len` of them.
    pub(crate) fn fill(&self, at: usize, len: usize, value: u8) {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: the range lies within the bytes, by the line above.
        let into = unsafe { self.start.add(at) };
        // SAFETY: as above.
        unsafe { into.write_bytes(value, len) };
    }
}
