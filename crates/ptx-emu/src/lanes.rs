//! The registers of a warp: 32 lanes wide.

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
    const ZERO: Self;
    fn load(regs: &Registers, slot: u32) -> [Self; 32];
    fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]);
}

/// For every value of 8 lanes of a mask, ones in the words of those that are set.
static WORDS: [[u32; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut at = 0;
    while at < 256 * 8 {
        if (at / 8) >> (at % 8) & 1 != 0 {
            table[at / 8][at % 8] = u32::MAX;
        }
        at += 1;
    }
    table
};

/// The same for 4 lanes of 64 bits.
static DOUBLES: [[u64; 4]; 16] = {
    let mut table = [[0; 4]; 16];
    let mut at = 0;
    while at < 16 * 4 {
        if (at / 4) >> (at % 4) & 1 != 0 {
            table[at / 4][at % 4] = u64::MAX;
        }
        at += 1;
    }
    table
};

/// Writes the lanes of `mask`; the others keep what they have. What to keep comes from a table:
/// of a test of each bit the compiler makes 32 branches, or masked stores, which are slow on some
/// processors.
#[inline(always)]
fn put_words(regs: &mut Registers, slot: u32, mask: u32, value: &[u32; 32]) {
    let into = &mut regs.slots[slot as usize].0;
    if mask == u32::MAX {
        *into = *value;
        return;
    }
    // All reads before the first write: the compiler does not know that the table is elsewhere.
    let mut new = *into;
    for part in 0..4 {
        let taken = &WORDS[(mask >> (8 * part) & 0xff) as usize];
        for (lane, taken) in taken.iter().enumerate() {
            let at = 8 * part + lane;
            new[at] ^= (new[at] ^ value[at]) & taken;
        }
    }
    *into = new;
}

/// As `put_words`, in two slots.
#[inline(always)]
fn put_doubles(regs: &mut Registers, slot: u32, mask: u32, value: &[u64; 32]) {
    let at = slot as usize;
    let slots: &mut [u64] = bytemuck::cast_slice_mut(&mut regs.slots[at..at + 2]);
    let into: &mut [u64; 32] = slots.first_chunk_mut().expect("32 words of 8 bytes");
    if mask == u32::MAX {
        *into = *value;
        return;
    }
    let mut new = *into;
    for part in 0..8 {
        let taken = &DOUBLES[(mask >> (4 * part) & 0xf) as usize];
        for (lane, taken) in taken.iter().enumerate() {
            let at = 4 * part + lane;
            new[at] ^= (new[at] ^ value[at]) & taken;
        }
    }
    *into = new;
}

macro_rules! words {
    ($($ty:ty = $zero:literal),*) => {$(
        impl Lane for $ty {
            const ZERO: Self = $zero;
            #[inline(always)]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                bytemuck::cast(regs.slots[slot as usize].0)
            }
            #[inline(always)]
            fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]) {
                put_words(regs, slot, mask, &bytemuck::cast(*value));
            }
        }
    )*};
}

macro_rules! double_words {
    ($($ty:ty = $zero:literal),*) => {$(
        impl Lane for $ty {
            const ZERO: Self = $zero;
            #[inline(always)]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                let at = slot as usize;
                let lanes: &[$ty] = bytemuck::cast_slice(&regs.slots[at..at + 2]);
                *lanes.first_chunk().expect("32 words of 8 bytes")
            }
            #[inline(always)]
            fn store(regs: &mut Registers, slot: u32, mask: u32, value: &[Self; 32]) {
                put_doubles(regs, slot, mask, &bytemuck::cast(*value));
            }
        }
    )*};
}

/// 16 bits and fewer stand zero-extended in a 32-bit slot.
macro_rules! halves {
    ($($ty:ty => $unsigned:ty),*) => {$(
        impl Lane for $ty {
            const ZERO: Self = 0;
            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                clippy::cast_lossless,
                reason = "the low half of the slot"
            )]
            fn load(regs: &Registers, slot: u32) -> [Self; 32] {
                let words = &regs.slots[slot as usize].0;
                let mut lanes = [0; 32];
                for (lane, word) in lanes.iter_mut().zip(words) {
                    *lane = *word as $ty;
                }
                lanes
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
                let mut words = [0; 32];
                for (word, lane) in words.iter_mut().zip(value) {
                    *word = u32::from(*lane as $unsigned);
                }
                put_words(regs, slot, mask, &words);
            }
        }
    )*};
}

words!(u32 = 0, i32 = 0, f32 = 0.0);
double_words!(u64 = 0, i64 = 0, f64 = 0.0);
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

/// The lanes of `mask`, ascending.
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
