//! The registers of a warp: 32 lanes wide.

use bytemuck::{AnyBitPattern, NoUninit};

/// One 32-bit register of all lanes of a warp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub [u32; 32]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0; 32]);
}

/// The registers of one warp: 32-bit slots, 64-bit values in two that follow each other, and
/// predicates as one mask of lanes each.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    pub slots: Vec<Lanes>,
    pub preds: Vec<u32>,
}

impl Registers {
    /// Sets the lanes of `mask` of a predicate; the others keep what they have.
    #[inline(always)]
    pub(crate) fn set_pred(&mut self, pred: u32, mask: u32, value: u32) {
        let into = &mut self.preds[pred as usize];
        *into = *into & !mask | value & mask;
    }
}

/// A type of one lane's operand.
pub(crate) trait Lane: Copy {
    fn load(regs: &Registers, slot: u32) -> [Self; 32];
    fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]);
}

#[inline(always)]
fn word<T: AnyBitPattern>(regs: &Registers, slot: u32) -> [T; 32] {
    let lanes: &[T] = bytemuck::cast_slice(&regs.slots[slot as usize].0);
    *lanes.first_chunk().expect("32 words of 4 bytes")
}

/// Writes the lanes of `mask`; the others keep what they have. A blend of bits: a selection would
/// become a branch per lane, and taking lanes out one by one for those keeps the compiler from
/// computing them in vectors.
macro_rules! blend {
    ($name:ident, $word:ty) => {
        #[inline(always)]
        fn $name(into: &mut [$word; 32], mask: u32, value: &[$word; 32]) {
            if mask == u32::MAX {
                *into = *value;
            } else {
                for lane in 0..32 {
                    let keep = <$word>::from(mask >> lane & 1).wrapping_sub(1);
                    into[lane] = into[lane] & keep | value[lane] & !keep;
                }
            }
        }
    };
}

blend!(blend_words, u32);
blend!(blend_double_words, u64);

#[inline(always)]
fn put_word<T: NoUninit + AnyBitPattern>(
    regs: &mut Registers,
    slot: u32,
    mask: u32,
    value: &[T; 32],
) {
    let value: &[u32] = bytemuck::cast_slice(value);
    let value = value.first_chunk().expect("32 words of 4 bytes");
    blend_words(&mut regs.slots[slot as usize].0, mask, value);
}

macro_rules! words {
    ($($ty:ty),*) => {$(
        impl Lane for $ty {
            #[inline(always)]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                word(regs, slot)
            }
            #[inline(always)]
            fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]) {
                put_word(regs, slot, mask, value);
            }
        }
    )*};
}

macro_rules! double_words {
    ($($ty:ty),*) => {$(
        impl Lane for $ty {
            #[inline(always)]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                let at = slot as usize;
                let lanes: &[$ty] = bytemuck::cast_slice(&regs.slots[at..at + 2]);
                *lanes.first_chunk().expect("32 words of 8 bytes")
            }
            #[inline(always)]
            fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]) {
                let at = slot as usize;
                let lanes: &mut [u64] = bytemuck::cast_slice_mut(&mut regs.slots[at..at + 2]);
                let lanes = lanes.first_chunk_mut().expect("32 words of 8 bytes");
                let value: &[u64] = bytemuck::cast_slice(value);
                let value = value.first_chunk().expect("32 words of 8 bytes");
                blend_double_words(lanes, mask, value);
            }
        }
    )*};
}

/// 16 bits and fewer stand zero-extended in a 32-bit slot.
macro_rules! halves {
    ($($ty:ty => $unsigned:ty),*) => {$(
        impl Lane for $ty {
            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                clippy::cast_lossless,
                reason = "the low half of the slot"
            )]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                // A loop: `map` may leave the lanes to be computed one by one.
                let mut value = [0; 32];
                for (value, x) in value.iter_mut().zip(word::<u32>(regs, slot)) {
                    *value = x as $ty;
                }
                value
            }
            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_lossless,
                trivial_numeric_casts,
                reason = "zero-extension of the bits"
            )]
            fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]) {
                let mut words = [0_u32; 32];
                for (word, x) in words.iter_mut().zip(value) {
                    *word = u32::from(*x as $unsigned);
                }
                put_word(regs, slot, mask, &words);
            }
        }
    )*};
}

words!(u32, i32, f32);
double_words!(u64, i64, f64);
halves!(u16 => u16, i16 => u16, u8 => u8, i8 => u8);

/// A comparison of two lanes as a mask of 32.
#[inline(always)]
pub(crate) fn mask_of(bits: &[bool; 32]) -> u32 {
    // Clearing bits of all ones instead of setting bits of zero: the latter is a shift of the
    // comparison in some lanes and not in others to the compiler, which then splits the lanes.
    let clear = |(lane, bit): (usize, &bool)| if *bit { !(1 << lane) } else { u32::MAX };
    !bits
        .iter()
        .enumerate()
        .map(clear)
        .fold(u32::MAX, |all, one| all & one)
}

/// All lanes set where any lane of `mask` is.
#[inline(always)]
pub(crate) fn lanes_of(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}
