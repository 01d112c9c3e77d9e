//! Where the lanes of a request lie to each other.

/// How the lanes' addresses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All active lanes have one address.
    Uniform,
    /// All 32 lanes are active and follow each other without a gap, in order.
    Unit,
    /// All 32 lanes are active; each 8 of them follow each other without a gap.
    Rows,
    /// All 32 lanes are active; each 8 of them have one address.
    Stairs,
    /// Anything else.
    General,
}

/// Distances of the lanes from the first active one, each of which touches `width` bytes.
///
/// What [`Bytes`](crate::memory::bytes::Bytes) reads and writes without another look rests on the
/// fields: every lane lies in `low..high`, and the shape is that of the distances. So they are
/// private, and made here only. The short ones stand first: of most requests nothing else is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Steps {
    width: u32,
    low: i32,
    high: i32,
    shape: Shape,
    rel: [i32; 32],
}

/// The distances of [`Shape::Unit`] for lanes of 1, 2, 4, 8, 16 and 32 bytes.
static UNIT: [[i32; 32]; 6] = {
    let mut all = [[0; 32]; 6];
    let mut at = 0;
    while at < 6 * 32 {
        all[at / 32][at % 32] = (at as i32 % 32) << (at / 32);
        at += 1;
    }
    all
};
static ZEROS: [i32; 32] = [0; 32];

impl Steps {
    /// Distances above this have no pattern.
    pub(super) const FURTHEST: u32 = 1 << 30;

    /// `rel` is 0 for lanes that are not in `mask`.
    pub(super) fn new(mask: u32, width: u32, rel: [i32; 32]) -> Self {
        let near = |rel: &i32| rel.unsigned_abs() <= Self::FURTHEST;
        assert!(width <= 32 && rel.iter().all(near), "within reach");
        let low = rel.iter().fold(0, |low, rel| low.min(*rel));
        let high = rel.iter().fold(0, |high, rel| high.max(*rel)) + width.cast_signed();
        let step = width.cast_signed();
        let (rows, _) = rel.as_chunks::<8>();
        let each = |follows: &dyn Fn(&[i32; 8], i32) -> i32| {
            let row = |row: &[i32; 8]| (0..8).zip(row).all(|(i, rel)| *rel == follows(row, i));
            mask == u32::MAX && rows.iter().all(row)
        };
        let shape = if rel == [0; 32] {
            Shape::Uniform
        } else if each(&|row, i| row[0] + i * step) {
            let unit = (0..4).zip(rows).all(|(i, row)| row[0] == 8 * i * step);
            let unit = unit && width.is_power_of_two();
            if unit { Shape::Unit } else { Shape::Rows }
        } else if each(&|row, _| row[0]) {
            Shape::Stairs
        } else {
            Shape::General
        };
        Self {
            width,
            low,
            high,
            shape,
            rel,
        }
    }

    /// One lane, or several at one address.
    pub(super) fn none(width: u32) -> Self {
        Self {
            width,
            low: 0,
            high: width.cast_signed(),
            shape: Shape::Uniform,
            rel: [0; 32],
        }
    }

    /// Address of each lane minus that of the first active lane; 0 in inactive lanes.
    #[inline(always)]
    pub(crate) fn rel(&self) -> &[i32; 32] {
        &self.rel
    }

    /// The same, out of a table that all requests share where the shape says enough.
    #[inline(always)]
    pub(crate) fn expected(&self) -> &[i32; 32] {
        match self.shape {
            Shape::Uniform => &ZEROS,
            Shape::Unit => &UNIT[self.width.trailing_zeros() as usize % 6],
            _ => &self.rel,
        }
    }

    /// The distance of the first of each eight lanes.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> i32 {
        match self.shape {
            Shape::Unit => (8 * row as u32 * self.width).cast_signed(),
            _ => self.rel[8 * row],
        }
    }

    /// Bytes that each lane touches.
    #[inline(always)]
    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    /// Lowest distance.
    #[inline(always)]
    pub(crate) fn low(&self) -> i32 {
        self.low
    }

    /// Highest distance plus `width`.
    #[inline(always)]
    pub(crate) fn high(&self) -> i32 {
        self.high
    }

    #[inline(always)]
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }
}
