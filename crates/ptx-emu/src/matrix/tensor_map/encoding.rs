//! The bytes of a tensor map.

use super::super::swizzle::Swizzle;
use super::{ElementType, Fill, TensorMap, TensorMapError, TensorMapSpec};

const MAGIC: u64 = u64::from_le_bytes(*b"ptxemuT1");
const SWIZZLES: [Swizzle; 4] = [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128];
const ELEMENTS: [ElementType; 8] = [
    ElementType::U8,
    ElementType::U16,
    ElementType::U32,
    ElementType::U64,
    ElementType::F16,
    ElementType::Bf16,
    ElementType::F32,
    ElementType::F64,
];

impl TensorMap {
    /// The 128 bytes that kernels pass around: 16 words, the last a checksum of the others.
    pub fn encode(&self) -> [u8; 128] {
        let mut words = [0; 16];
        words[0] = MAGIC;
        words[1] = self.address;
        words[2..7].copy_from_slice(&self.dims);
        words[7..11].copy_from_slice(&self.strides[1..]);
        words[11] = pack(12, self.box_dims.map(u64::from));
        words[12] = pack(4, self.element_strides.map(u64::from));
        let code = |position: Option<usize>| position.map_or(0, |x| x as u64);
        words[13] = pack(
            12,
            [
                code(Some(self.rank)),
                code(ELEMENTS.iter().position(|&x| x == self.element)),
                code(SWIZZLES.iter().position(|&x| x == self.swizzle)),
                code(Some(usize::from(self.fill == Fill::Nan))),
                0,
            ],
        );
        words[15] = checksum(&words);
        let mut bytes = [0; 128];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`TensorMapError::Foreign`] for any other bytes.
    pub(crate) fn decode(bytes: &[u8; 128]) -> Result<Self, TensorMapError> {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        if words[0] != MAGIC || words[15] != checksum(&words) {
            return Err(TensorMapError::Foreign);
        }
        let small = |x: u64| u32::try_from(x).unwrap_or(0);
        let box_dims = unpack(12, words[11]).map(small);
        let element_strides = unpack(4, words[12]).map(small);
        let [rank, element, swizzle, fill, _] = unpack(12, words[13]).map(|x| small(x) as usize);
        let (Some(&element), Some(&swizzle), 1..=5) =
            (ELEMENTS.get(element), SWIZZLES.get(swizzle), rank)
        else {
            return Err(TensorMapError::Foreign);
        };
        Self::new(&TensorMapSpec {
            element,
            address: words[1],
            dims: &words[2..2 + rank],
            strides: &words[7..6 + rank],
            box_dims: &box_dims[..rank],
            element_strides: &element_strides[..rank],
            swizzle,
            fill: if fill == 0 { Fill::Zero } else { Fill::Nan },
        })
    }
}

/// Five fields of `width` bits in one word.
fn pack(width: u32, fields: [u64; 5]) -> u64 {
    fields
        .iter()
        .rev()
        .fold(0, |word, field| (word << width) | field)
}

/// The fields of [`pack`].
fn unpack(width: u32, word: u64) -> [u64; 5] {
    [0, 1, 2, 3, 4].map(|i| (word >> (i * width)) & ((1 << width) - 1))
}

/// FNV-1a over all words but the last, 64 bits at a time.
fn checksum(words: &[u64; 16]) -> u64 {
    words[..15].iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ word).wrapping_mul(0x0100_0000_01b3)
    })
}
