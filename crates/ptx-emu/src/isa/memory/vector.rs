//! Elements of vectors: side by side in memory, each in a register of its own.

use bytemuck::{AnyBitPattern, NoUninit};

/// An element as it stands in memory.
pub(super) trait Element: AnyBitPattern + NoUninit + Default {
    /// Its value, or the low half of it; `signed` is for what is below 32 bits.
    fn word(self, signed: bool) -> u32;
    /// Its value in 64 bits.
    fn double(self, signed: bool) -> u64;
    /// The low bytes of a register.
    fn low(register: u64) -> Self;
}

macro_rules! elements {
    ($($unsigned:ident $signed:ident),*) => { $(
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            clippy::cast_lossless,
            trivial_numeric_casts,
            reason = "zero-extension, sign-extension and their reverse"
        )]
        impl Element for $unsigned {
            #[inline(always)]
            fn word(self, signed: bool) -> u32 {
                let value = Self::from_le(self);
                if signed { value as $signed as i32 as u32 } else { value as u32 }
            }

            #[inline(always)]
            fn double(self, signed: bool) -> u64 {
                let value = Self::from_le(self);
                if signed { value as $signed as i64 as u64 } else { value as u64 }
            }

            #[inline(always)]
            fn low(register: u64) -> Self {
                (register as Self).to_le()
            }
        }
    )* };
}

elements!(u8 i8, u16 i16, u32 i32, u64 i64);

/// The lanes of each element, from the elements of each lane.
#[inline(always)]
pub(super) fn split<T: Element, const V: usize>(lanes: &[[T; V]; 32]) -> [[T; 32]; V] {
    let mut elements = [[T::default(); 32]; V];
    match V {
        2 => evens_first(lanes.as_flattened(), elements.as_flattened_mut()),
        4 => {
            let mut half = [[T::default(); 32]; V];
            evens_first(lanes.as_flattened(), half.as_flattened_mut());
            evens_first(half.as_flattened(), elements.as_flattened_mut());
        }
        _ => {
            for (i, element) in elements.iter_mut().enumerate() {
                for lane in 0..32 {
                    element[lane] = lanes[lane][i];
                }
            }
        }
    }
    elements
}

/// The way back.
#[inline(always)]
pub(super) fn join<T: Element, const V: usize>(elements: &[[T; 32]; V]) -> [[T; V]; 32] {
    let mut lanes = [[T::default(); V]; 32];
    match V {
        2 => halves_in_turn(elements.as_flattened(), lanes.as_flattened_mut()),
        4 => {
            let mut half = [[T::default(); 32]; V];
            halves_in_turn(elements.as_flattened(), half.as_flattened_mut());
            halves_in_turn(half.as_flattened(), lanes.as_flattened_mut());
        }
        _ => {
            for (i, element) in elements.iter().enumerate() {
                for lane in 0..32 {
                    lanes[lane][i] = element[lane];
                }
            }
        }
    }
    lanes
}

/// What stands at even places, then what stands at odd ones. Lane and element make up the number
/// of a place; this rotates its bits by one, and it is a loop that the compiler can vectorise.
#[inline(always)]
fn evens_first<T: Copy>(x: &[T], y: &mut [T]) {
    let (evens, odds) = y.split_at_mut(x.len() / 2);
    let (pairs, _) = x.as_chunks::<2>();
    for ((pair, even), odd) in pairs.iter().zip(evens).zip(odds) {
        [*even, *odd] = *pair;
    }
}

/// The reverse of `evens_first`.
#[inline(always)]
fn halves_in_turn<T: Copy>(x: &[T], y: &mut [T]) {
    let (first, second) = x.split_at(x.len() / 2);
    let (pairs, _) = y.as_chunks_mut::<2>();
    for ((pair, first), second) in pairs.iter_mut().zip(first).zip(second) {
        *pair = [*first, *second];
    }
}
