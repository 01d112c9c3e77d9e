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

use bytemuck::{AnyBitPattern, NoUninit};

use crate::access::{Shape, Steps};

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

    /// The bytes of a `T` from `at`.
    #[inline(always)]
    pub(crate) fn read<T: AnyBitPattern>(&self, at: usize) -> T {
        assert!(
            at <= self.len && size_of::<T>() <= self.len - at,
            "checked by the caller"
        );
        // SAFETY: the range lies within the bytes, by the line above.
        let from = unsafe { self.start.add(at) };
        // SAFETY: as above; any bytes make a `T`.
        unsafe { from.cast::<T>().read_unaligned() }
    }

    /// What the lanes of a request read. Its first active lane lies at `at`; lanes that are not
    /// active read what that one does.
    #[inline(always)]
    pub(crate) fn load<T: AnyBitPattern>(&self, at: usize, steps: &Steps) -> [T; 32] {
        let start = self.reach::<T>(at, steps);
        let mut data = [T::zeroed(); 32];
        match steps.shape() {
            // SAFETY: `reach` has found what all lanes read within.
            Shape::Uniform => data = [unsafe { start.cast::<T>().read_unaligned() }; 32],
            Shape::Stairs => {
                for (row, into) in data.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let lane = unsafe { start.offset(steps.row(row) as isize) };
                    // SAFETY: as above.
                    *into = [unsafe { lane.cast::<T>().read_unaligned() }; 8];
                }
            }
            Shape::Unit | Shape::Rows => {
                for (row, into) in data.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let lane = unsafe { start.offset(steps.row(row) as isize) };
                    // SAFETY: as above; by its shape, what 8 lanes read follows each other.
                    *into = unsafe { lane.cast::<[T; 8]>().read_unaligned() };
                }
            }
            Shape::General => {
                for (into, rel) in data.iter_mut().zip(steps.rel()) {
                    // SAFETY: as above.
                    let lane = unsafe { start.offset(*rel as isize) };
                    // SAFETY: as above.
                    *into = unsafe { lane.cast::<T>().read_unaligned() };
                }
            }
        }
        data
    }

    /// Stores what the lanes of `mask` write, in ascending order of lanes.
    #[inline(always)]
    pub(crate) fn store<T: NoUninit>(&self, at: usize, steps: &Steps, mask: u32, data: &[T; 32]) {
        let start = self.reach::<T>(at, steps);
        if matches!(steps.shape(), Shape::Unit | Shape::Rows) {
            for (row, from) in data.as_chunks::<8>().0.iter().enumerate() {
                // SAFETY: as in `load`.
                let lane = unsafe { start.offset(steps.row(row) as isize) };
                // SAFETY: as in `load`; by its shape, what 8 lanes write follows each other.
                unsafe { lane.cast::<[T; 8]>().write_unaligned(*from) };
            }
            return;
        }
        for (lane, (from, rel)) in data.iter().zip(steps.rel()).enumerate() {
            if mask >> lane & 1 != 0 {
                // SAFETY: as in `load`.
                let lane = unsafe { start.offset(*rel as isize) };
                // SAFETY: as in `load`.
                unsafe { lane.cast::<T>().write_unaligned(*from) };
            }
        }
    }

    /// The place `at`, once a `T` of every lane is known to lie within.
    #[inline(always)]
    fn reach<T>(&self, at: usize, steps: &Steps) -> *mut u8 {
        let first = at.checked_add_signed(steps.low() as isize);
        let end = at.checked_add_signed(steps.high() as isize);
        let fits = first.is_some() && end.is_some_and(|end| end <= self.len);
        let whole = steps.width() as usize == size_of::<T>();
        assert!(fits && whole && at <= self.len, "checked by the caller");
        // SAFETY: `at` lies within the bytes or at their end.
        unsafe { self.start.add(at) }
    }

    /// Stores the bytes of a `T` at `at`.
    #[inline(always)]
    pub(crate) fn write<T: NoUninit>(&self, at: usize, value: T) {
        assert!(
            at <= self.len && size_of::<T>() <= self.len - at,
            "checked by the caller"
        );
        // SAFETY: the range lies within the bytes, by the line above.
        let into = unsafe { self.start.add(at) };
        // SAFETY: as above.
        unsafe { into.cast::<T>().write_unaligned(value) };
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

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::{Bytes, Storage};
    use crate::access::{Pattern, Shape};

    fn bytes(view: Bytes<'_>) -> Vec<u8> {
        let mut all = vec![0; view.len()];
        view.copy_to(0, &mut all);
        all
    }

    /// Loads and stores of all lanes at once, against one lane after the other.
    fn lanes_at_once<const N: usize>(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let storage = Storage::zeroed(8192).unwrap();
        let view = storage.view();
        view.copy_from(0, &std::array::from_fn::<u8, 8192, _>(|_| rng.random()));
        let mut seen = [0; 5];
        for _ in 0..500 {
            let row = [1, 4, 8, 16, 32][rng.random_range(0..5)];
            let step = N as u64 * rng.random_range(0..2);
            let jump = rng.random_range(0..3 * N as u64);
            let place = |lane: u64| lane % row * step + lane / row * jump;
            let mask = if rng.random() {
                u32::MAX
            } else {
                rng.random::<u32>() | 1
            };
            let addresses = std::array::from_fn(|lane| 512 + place(lane as u64));
            let pattern = Pattern::of(mask, N as u32, &addresses).unwrap();
            let steps = &pattern.steps;
            let shapes = [
                Shape::Uniform,
                Shape::Unit,
                Shape::Rows,
                Shape::Stairs,
                Shape::General,
            ];
            seen[shapes.iter().position(|s| *s == steps.shape()).unwrap()] += 1;
            let active: Vec<usize> = (0..32).filter(|lane| mask >> lane & 1 != 0).collect();
            let loaded: [[u8; N]; 32] = view.load(512, steps);
            let mut expected = bytes(view);
            for lane in &active {
                let at = addresses[*lane] as usize;
                assert_eq!(loaded[*lane], expected[at..at + N], "{:?}", steps.shape());
            }
            let data: [[u8; N]; 32] =
                std::array::from_fn(|_| std::array::from_fn(|_| rng.random()));
            for lane in active {
                let at = addresses[lane] as usize;
                expected[at..at + N].copy_from_slice(&data[lane]);
            }
            view.store(512, steps, mask, &data);
            assert_eq!(bytes(view), expected, "{:?}", steps.shape());
        }
        assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
    }

    #[test]
    fn all_lanes_as_one_after_the_other() {
        lanes_at_once::<1>(1);
        lanes_at_once::<4>(2);
        lanes_at_once::<16>(3);
    }

    #[test]
    #[should_panic(expected = "checked by the caller")]
    fn a_lane_beyond_the_end_panics() {
        let storage = Storage::zeroed(127).unwrap();
        let addresses = std::array::from_fn(|lane| 4 * lane as u64);
        let pattern = Pattern::of(u32::MAX, 4, &addresses).unwrap();
        storage.view().load::<u32>(0, &pattern.steps);
    }
}
