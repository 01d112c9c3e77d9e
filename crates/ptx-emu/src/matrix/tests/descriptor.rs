use crate::matrix::descriptor::{Major, MatrixDescriptor};
use crate::matrix::swizzle::Swizzle;

/// "Swizzling Modes" of the PTX ISA: where the 16-byte chunks 0 to 7 of each 128-byte line go.
const TABLE_32: [[u32; 8]; 2] = [[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 3, 2, 5, 4, 7, 6]];
const TABLE_64: [[u32; 8]; 4] = [
    [0, 1, 2, 3, 4, 5, 6, 7],
    [1, 0, 3, 2, 5, 4, 7, 6],
    [2, 3, 0, 1, 6, 7, 4, 5],
    [3, 2, 1, 0, 7, 6, 5, 4],
];
const TABLE_128: [[u32; 8]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7],
    [1, 0, 3, 2, 5, 4, 7, 6],
    [2, 3, 0, 1, 6, 7, 4, 5],
    [3, 2, 1, 0, 7, 6, 5, 4],
    [4, 5, 6, 7, 0, 1, 2, 3],
    [5, 4, 7, 6, 1, 0, 3, 2],
    [6, 7, 4, 5, 2, 3, 0, 1],
    [7, 6, 5, 4, 3, 2, 1, 0],
];

/// The same tables as a function of the address.
pub(super) fn swizzled_by_table(swizzle: Swizzle, address: u32) -> u32 {
    let (line, chunk, byte) = (address / 128, address % 128 / 16, address % 16);
    let (line_, chunk_) = (line as usize, chunk as usize);
    let to = match swizzle {
        Swizzle::None => chunk,
        Swizzle::B32 => TABLE_32[line_ % 2][chunk_],
        Swizzle::B64 => TABLE_64[line_ % 4][chunk_],
        Swizzle::B128 => TABLE_128[line_ % 8][chunk_],
    };
    128 * line + 16 * to + byte
}

pub(super) const SWIZZLES: [Swizzle; 4] =
    [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128];

#[test]
fn swizzles_follow_the_tables_and_the_address_bits() {
    for swizzle in SWIZZLES {
        let bits = [0, 1, 2, 3][SWIZZLES.iter().position(|&s| s == swizzle).unwrap()];
        for address in 0..4096 {
            let found = swizzle.apply(address, 0);
            assert_eq!(
                found,
                swizzled_by_table(swizzle, address),
                "{swizzle:?} {address}"
            );
            let mut by_bits = address;
            for bit in 0..bits {
                by_bits ^= (address >> (7 + bit) & 1) << (4 + bit);
            }
            assert_eq!(found, by_bits);
            // A pattern that starts `base` lines late is the pattern of address 0, moved.
            for base in 0..8 {
                let moved = swizzle.apply(address + 128 * base, base);
                assert_eq!(
                    moved,
                    found + 128 * base,
                    "{swizzle:?} {address} base {base}"
                );
            }
        }
    }
}

#[test]
fn descriptors_decode_every_field() {
    let encode = |x: u64| (x & 0x3_ffff) >> 4;
    let modes = [Swizzle::None, Swizzle::B128, Swizzle::B64, Swizzle::B32];
    for (mode, swizzle) in (0_u64..).zip(modes) {
        let bits =
            encode(0x1_2340) | encode(0x800) << 16 | encode(0x3_fff0) << 32 | 5 << 49 | mode << 62;
        let expected = MatrixDescriptor {
            start: 0x1_2340,
            leading: 0x800,
            stride: 0x3_fff0,
            base_offset: 5,
            swizzle,
        };
        assert_eq!(MatrixDescriptor::decode(bits), expected);
        // The bits between the fields do not count.
        let unused = 3 << 14 | 3 << 30 | 7 << 46 | 0x3ff << 52;
        assert_eq!(MatrixDescriptor::decode(bits | unused), expected);
    }
}

/// Offset of a coordinate in a layout `(shape, stride)`, the first mode running fastest.
pub(super) fn layout(modes: &[(u32, u32)], mut at: u32) -> u32 {
    let mut offset = 0;
    for &(shape, stride) in modes {
        offset += at % shape * stride;
        at /= shape;
    }
    assert_eq!(at, 0, "coordinate beyond the layout");
    offset
}

/// The worked examples of "Canonical Layouts": strides in elements, offsets in the descriptor.
#[test]
fn element_addresses_match_the_examples_of_the_isa() {
    type Modes = &'static [(u32, u32)];
    // major, swizzle, element bytes, LBO, SBO, modes of M or N, modes of K
    let examples: [(Major, Swizzle, u32, u32, u32, Modes, Modes); 5] = [
        (
            Major::K,
            Swizzle::None,
            4,
            64,
            32,
            &[(8, 4), (2, 32)],
            &[(4, 1), (4, 64)],
        ),
        (
            Major::K,
            Swizzle::B32,
            4,
            0,
            64,
            &[(8, 8), (2, 64)],
            &[(4, 1), (2, 4)],
        ),
        (
            Major::Mn,
            Swizzle::None,
            2,
            128,
            64,
            &[(8, 1), (1, 8), (2, 64)],
            &[(8, 8), (2, 128)],
        ),
        (
            Major::Mn,
            Swizzle::B32,
            2,
            128,
            256,
            &[(8, 1), (2, 8), (2, 128)],
            &[(8, 16), (2, 256)],
        ),
        (
            Major::Mn,
            Swizzle::B64,
            2,
            256,
            512,
            &[(8, 1), (4, 8), (2, 256)],
            &[(8, 32), (2, 512)],
        ),
    ];
    for (major, swizzle, size, leading, stride, across, along) in examples {
        let descriptor = MatrixDescriptor {
            start: 0x2000,
            leading: leading * size,
            stride: stride * size,
            base_offset: 0,
            swizzle,
        };
        let extent = |modes: Modes| modes.iter().map(|m| m.0).product::<u32>();
        for mn in 0..extent(across) {
            for k in 0..extent(along) {
                let offset = (layout(across, mn) + layout(along, k)) * size;
                let expected = swizzled_by_table(swizzle, 0x2000 + offset);
                let found = descriptor.element_address(major, size, mn, k);
                assert_eq!(found, expected, "{major:?} {swizzle:?} ({mn}, {k})");
            }
        }
    }
}
