//! Tensor maps and the boxes that `cp.async.bulk.tensor` moves in tiled mode.
//!
//! The hardware's 128 bytes are opaque; these are the emulator's own. What a map may say follows
//! `cuTensorMapEncodeTiled`; what it means, PTX ISA "Tiled Mode". Dimension 0 is the innermost.
//! No interleaving, no im2col, no element types that convert on the way.

mod encoding;

use std::ops::Range;

use super::swizzle::Swizzle;

/// Type of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 8-bit integer.
    U8,
    /// 16-bit integer.
    U16,
    /// 32-bit integer.
    U32,
    /// 64-bit integer.
    U64,
    /// Half precision.
    F16,
    /// Upper half of a single.
    Bf16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl ElementType {
    /// Bytes of one element.
    pub(crate) const fn size(self) -> u32 {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::F32 => 4,
            Self::U64 | Self::F64 => 8,
        }
    }

    const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }
}

/// What elements outside the tensor become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zero.
    Zero,
    /// A NaN (`OOB-NaN`, whose bits are not documented: here the canonical NaN of the type).
    Nan,
}

/// Why a tensor map was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorMapError {
    /// The rank is not 1 to 5, or an array does not fit it.
    #[error(
        "tensor map: rank {rank} with {strides} strides, {box_dims} box sizes and \
         {element_strides} element strides; expected rank 1 to 5, one stride less, and one of each other"
    )]
    Rank {
        /// Number of dimensions given.
        rank: usize,
        /// Number of strides given.
        strides: usize,
        /// Number of box sizes given.
        box_dims: usize,
        /// Number of element strides given.
        element_strides: usize,
    },
    /// The tensor does not start at a multiple of 16 bytes.
    #[error("tensor map: address {address:#x} is not a multiple of 16")]
    Address {
        /// The address.
        address: u64,
    },
    /// A value is out of its range.
    #[error("tensor map: {what}[{dim}] is {found}, expected {expected}")]
    Value {
        /// Name of the array.
        what: &'static str,
        /// Index in the array.
        dim: usize,
        /// The value.
        found: u64,
        /// The rule.
        expected: &'static str,
    },
    /// The innermost extent of the box does not suit the transfer or the swizzling.
    #[error("tensor map: the box is {found} bytes wide, expected {expected}")]
    Width {
        /// Bytes of the box in dimension 0.
        found: u32,
        /// The rule.
        expected: &'static str,
    },
    /// NaN fill of integers.
    #[error("tensor map: NaN fill needs a floating-point element type, found {found:?}")]
    Fill {
        /// The element type.
        found: ElementType,
    },
    /// The bytes are no encoded map.
    #[error(
        "tensor map: these 128 bytes were not made by this emulator, or were changed since; \
         encode one with TensorMap::encode and pass it as a __grid_constant__ parameter"
    )]
    Foreign,
}

/// What [`TensorMap::new`] takes: the arguments of `cuTensorMapEncodeTiled`.
#[derive(Clone, Copy, Debug)]
pub struct TensorMapSpec<'a> {
    /// Type of the elements.
    pub element: ElementType,
    /// Global address of the tensor.
    pub address: u64,
    /// Elements in each dimension; its length is the rank.
    pub dims: &'a [u64],
    /// Bytes from one index to the next, of dimensions 1 and up.
    pub strides: &'a [u64],
    /// Elements the box spans in each dimension.
    pub box_dims: &'a [u32],
    /// Every how many elements one is taken, in each dimension.
    pub element_strides: &'a [u32],
    /// Swizzling of the box in shared memory.
    pub swizzle: Swizzle,
    /// What lies outside.
    pub fill: Fill,
}

/// A checked tensor map. Dimensions from the rank up are 1 element wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    element: ElementType,
    rank: usize,
    address: u64,
    dims: [u64; 5],
    strides: [u64; 5],
    box_dims: [u32; 5],
    element_strides: [u32; 5],
    swizzle: Swizzle,
    fill: Fill,
}

/// One run of elements in dimension 0 of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoxRow {
    /// Offset of the run in the box, before swizzling.
    pub offset: u32,
    /// The bytes of the run that lie within the tensor; the rest is filled, or not stored.
    pub inside: Range<u32>,
    /// Global address of the first byte within the tensor; 0 if there is none.
    pub global: u64,
}

/// Checks that every value obeys a rule.
fn check<T: Copy + Into<u64>>(
    what: &'static str,
    values: &[T],
    expected: &'static str,
    valid: impl Fn(u64) -> bool,
) -> Result<(), TensorMapError> {
    match values.iter().position(|&value| !valid(value.into())) {
        None => Ok(()),
        Some(dim) => Err(TensorMapError::Value {
            what,
            dim,
            found: values[dim].into(),
            expected,
        }),
    }
}

/// The values, and `rest` from their end to five.
fn five<T: Copy>(values: &[T], rest: T) -> [T; 5] {
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(rest))
}

impl TensorMap {
    /// Shared addresses of boxes are multiples of this.
    pub(crate) const SHARED_ALIGNMENT: u32 = 128;

    /// Checks the rules of `cuTensorMapEncodeTiled`.
    ///
    /// One more: a swizzled box must fill its span. The driver allows narrower ones, but how their
    /// rows then lie in shared memory is not documented.
    ///
    /// # Errors
    /// [`TensorMapError`] names the first rule that is broken.
    pub fn new(spec: &TensorMapSpec) -> Result<Self, TensorMapError> {
        let rank = spec.dims.len();
        if !(1..=5).contains(&rank)
            || spec.strides.len() + 1 != rank
            || spec.box_dims.len() != rank
            || spec.element_strides.len() != rank
        {
            return Err(TensorMapError::Rank {
                rank,
                strides: spec.strides.len(),
                box_dims: spec.box_dims.len(),
                element_strides: spec.element_strides.len(),
            });
        }
        if !spec.address.is_multiple_of(16) {
            return Err(TensorMapError::Address {
                address: spec.address,
            });
        }
        check("dims", spec.dims, "1 to 2^32", |n| {
            (1..=1 << 32).contains(&n)
        })?;
        let strides = "a multiple of 16 below 2^40";
        check("strides", spec.strides, strides, |n| {
            n % 16 == 0 && n < 1 << 40
        })?;
        check("box_dims", spec.box_dims, "1 to 256", |n| {
            (1..=256).contains(&n)
        })?;
        check("element_strides", spec.element_strides, "1 to 8", |n| {
            (1..=8).contains(&n)
        })?;
        let width = spec.box_dims[0] * spec.element.size();
        let span = spec.swizzle.span();
        let expected = match spec.swizzle {
            _ if !width.is_multiple_of(16) => Some("a multiple of 16"),
            Swizzle::None => None,
            _ if width != span => Some("the span of the swizzling mode (32, 64 or 128)"),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(TensorMapError::Width {
                found: width,
                expected,
            });
        }
        if spec.fill == Fill::Nan && !spec.element.is_float() {
            return Err(TensorMapError::Fill {
                found: spec.element,
            });
        }
        let mut strides = [0; 5];
        strides[0] = u64::from(spec.element.size());
        strides[1..rank].copy_from_slice(spec.strides);
        let mut element_strides = five(spec.element_strides, 1);
        element_strides[0] = 1; // without interleaving the first one does not count
        Ok(Self {
            element: spec.element,
            rank,
            address: spec.address,
            dims: five(spec.dims, 1),
            strides,
            box_dims: five(spec.box_dims, 1),
            element_strides,
            swizzle: spec.swizzle,
            fill: spec.fill,
        })
    }

    /// Number of dimensions, and of coordinates in the instruction.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Elements taken in each dimension.
    pub(crate) fn counts(&self) -> [u32; 5] {
        std::array::from_fn(|i| self.box_dims[i].div_ceil(self.element_strides[i]))
    }

    /// Bytes of a run in dimension 0.
    pub(crate) fn row_bytes(&self) -> u32 {
        self.box_dims[0] * self.element.size()
    }

    /// Bytes of the box in shared memory, which is also what the transfer counts at its mbarrier,
    /// elements outside the tensor included. Up to 2^43.
    pub(crate) fn box_bytes(&self) -> u64 {
        let rows: u64 = self.counts()[1..].iter().map(|&n| u64::from(n)).product();
        rows * u64::from(self.row_bytes())
    }

    /// Shared address of the byte at `offset` of a box at `start`.
    #[inline(always)]
    pub(crate) fn shared_address(&self, start: u32, offset: u32) -> u32 {
        self.swizzle.apply(start.wrapping_add(offset), 0)
    }

    /// The bytes of an element outside the tensor, repeated to 8.
    pub(crate) fn fill_bytes(&self) -> [u8; 8] {
        let word = match (self.fill, self.element) {
            (Fill::Nan, ElementType::F16 | ElementType::Bf16) => 0x7fff_7fff_7fff_7fff,
            (Fill::Nan, ElementType::F32) => 0x7fff_ffff_7fff_ffff,
            (Fill::Nan, ElementType::F64) => 0x7fff_ffff_ffff_ffff,
            _ => 0_u64,
        };
        word.to_le_bytes()
    }

    /// The runs of the box whose first element has coordinates `start`, in the order in which they
    /// follow each other in shared memory. Coordinates from the rank up are to be 0. Offsets are right
    /// for boxes that fit into shared memory, which is for the caller to check.
    pub(crate) fn rows(&self, start: [i32; 5]) -> impl Iterator<Item = BoxRow> + '_ {
        let counts = self.counts();
        let size = i64::from(self.element.size());
        let width = i64::from(self.box_dims[0]);
        let bytes = self.row_bytes();
        let first = i64::from(start[0]);
        // Sizes are at most 2^32, so that no coordinate or product of these overflows i64.
        let extent = self.dims.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let low = (-first).clamp(0, width);
        let high = (extent[0] - first).clamp(0, width);
        let inside =
            u32::try_from(low * size).unwrap_or(0)..u32::try_from(high * size).unwrap_or(0);
        let rows: u64 = counts[1..].iter().map(|&n| u64::from(n)).product();
        (0..rows).map(move |row| {
            let offset = u32::try_from(row).unwrap_or(0).wrapping_mul(bytes);
            let outside = BoxRow {
                offset,
                inside: 0..0,
                global: 0,
            };
            let mut rest = row;
            let mut global = self.address.wrapping_add_signed((first + low) * size);
            for dim in 1..5 {
                let count = u64::from(counts[dim]);
                let step = i64::try_from(rest % count).unwrap_or(0);
                rest /= count;
                let at = i64::from(start[dim]) + step * i64::from(self.element_strides[dim]);
                if at < 0 || at >= extent[dim] {
                    return outside;
                }
                let along = self.strides[dim].wrapping_mul(at.cast_unsigned());
                global = global.wrapping_add(along);
            }
            if inside.is_empty() {
                return outside;
            }
            BoxRow {
                offset,
                inside: inside.clone(),
                global,
            }
        })
    }
}
