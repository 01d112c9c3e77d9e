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
    /// One lane of a slot.
    #[inline(always)]
    pub(crate) fn word(&self, slot: u32, lane: usize) -> u32 {
        self.slots[slot as usize].0[lane]
    }

    /// One lane of two slots that hold 64 bits.
    #[inline(always)]
    pub(crate) fn double(&self, slot: u32, lane: usize) -> u64 {
        let at = slot as usize;
        let lanes: &[u64] = bytemuck::cast_slice(&self.slots[at..at + 2]);
        lanes[lane]
    }

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

/// `yes` in the lanes of `mask`, `no` in the others. Which of them comes from a table: of a test of
/// each bit the compiler makes 32 branches, or masked stores, which are slow on some processors.
#[inline(always)]
pub(crate) fn choose(mask: u32, yes: &[u32; 32], no: &[u32; 32]) -> [u32; 32] {
    let mut all = *no;
    for (part, lanes) in all.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let taken = &WORDS[(mask >> (8 * part) & 0xff) as usize];
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value ^= (*value ^ yes[8 * part + lane]) & taken[lane];
        }
    }
    all
}

/// The same for 64 bits.
#[inline(always)]
pub(crate) fn choose_double(mask: u32, yes: &[u64; 32], no: &[u64; 32]) -> [u64; 32] {
    let mut all = *no;
    for (part, lanes) in all.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let taken = &DOUBLES[(mask >> (4 * part) & 0xf) as usize];
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value ^= (*value ^ yes[4 * part + lane]) & taken[lane];
        }
    }
    all
}

/// The value of each lane: a plain loop, which the compiler vectorises where it would call
/// `array::map` and `array::from_fn`.
#[inline(always)]
pub(crate) fn each<T: Copy + Default>(of: impl Fn(usize) -> T) -> [T; 32] {
    let mut lanes = [T::default(); 32];
    for (lane, value) in lanes.iter_mut().enumerate() {
        *value = of(lane);
    }
    lanes
}

/// Writes the lanes of `mask`; the others keep what they have.
#[inline(always)]
fn put_words(regs: &mut Registers, slot: u32, mask: u32, value: &[u32; 32]) {
    let into = &mut regs.slots[slot as usize].0;
    *into = if mask == u32::MAX {
        *value
    } else {
        choose(mask, value, into)
    };
}

/// As `put_words`, in two slots.
#[inline(always)]
fn put_doubles(regs: &mut Registers, slot: u32, mask: u32, value: &[u64; 32]) {
    let at = slot as usize;
    let slots: &mut [u64] = bytemuck::cast_slice_mut(&mut regs.slots[at..at + 2]);
    let into: &mut [u64; 32] = slots.first_chunk_mut().expect("32 words of 8 bytes");
    *into = if mask == u32::MAX {
        *value
    } else {
        choose_double(mask, value, into)
    };
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

/// Which lanes are true, as a mask.
#[inline(always)]
pub(crate) fn mask_of(bits: &[bool; 32]) -> u32 {
    let mut bytes = [0; 32];
    for (byte, bit) in bytes.iter_mut().zip(bits) {
        *byte = u8::from(*bit);
    }
    let mut mask = 0;
    for (part, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // Bit `56 - 7i` of the factor brings the lowest bit of byte `i` to bit `56 + i`. With
        // shifts and ORs the compiler takes the vector of comparisons apart.
        let factor = 0x0102_0408_1020_4080;
        let top = u64::from_le_bytes(*eight).wrapping_mul(factor) >> 56;
        mask |= (top as u32) << (8 * part);
    }
    mask
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
