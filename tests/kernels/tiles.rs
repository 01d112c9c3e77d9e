//! Packed weights, and the rule that chooses among the tiles of `linear`.

use pvt_cuda::kernels::pack::{pack, packed_bytes};
use pvt_cuda::kernels::tiles::{MOST_SHARED, linear_tile};
use pvt_cuda::target::DType;

use crate::products::DTYPES;

#[test]
fn tiles_follow_the_shape() {
    let of = |dtype, rows, inner, cols, norm| linear_tile(dtype, rows, inner, cols, norm).unwrap();
    // many rows: LayerNorm once, the largest tile that holds the columns without waste
    let many = of(DType::F16, 256 * 3136, 64, 64, true);
    assert_eq!((many.cols, many.groups), (64, 1));
    let many = of(DType::F16, 256 * 784, 128, 1024, true);
    assert_eq!((many.rows, many.cols, many.groups), (128, 128, 1));
    // few rows: most multiprocessors have work
    let few = of(DType::F16, 50, 512, 2048, true);
    assert!(few.groups * 50_u32.div_ceil(few.rows) >= 32, "{few:?}");
    for dtype in DTYPES {
        for inner in [16, 64, 128, 320, 512] {
            for rows in [1, 49, 196, 3136, 100_000] {
                for norm in [false, true] {
                    let tile = linear_tile(dtype, rows, inner, 320, norm);
                    let tile = tile.unwrap_or_else(|| panic!("{dtype} {rows} {inner} {norm}"));
                    assert!(tile.shared as usize <= MOST_SHARED);
                    assert!(tile.groups >= 1 && (tile.groups - 1) * tile.cols < 320);
                }
            }
        }
        assert!(linear_tile(dtype, 50, 2048, 512, true).is_none());
        assert!(linear_tile(dtype, 50, 1 << 20, 512, false).is_some());
    }
}

#[test]
fn packed_weights_are_tiles() {
    // 65 columns of 33: two column units, two inner units
    let weight: Vec<f32> = (0..65 * 33).map(|i| i as f32).collect();
    let packed = pack(DType::F32, &weight, 65, 33, |k| 32 - k);
    assert_eq!(packed.len(), packed_bytes(DType::F32, 65, 33));
    assert_eq!(packed.len(), 4 * 8192);
    let at = |unit: usize, row: usize, chunk: usize, i: usize| {
        let byte = unit * 8192 + row * 128 + (chunk ^ (row % 8)) * 16 + i * 4;
        u32::from_le_bytes(packed[byte..byte + 4].try_into().unwrap())
    };
    assert_eq!(at(0, 0, 0, 0), 32.0_f32.to_bits());
    assert_eq!(at(0, 5, 2, 3), ((5 * 33 + 32 - 11) as f32).to_bits());
    assert_eq!(at(1, 63, 0, 0), ((63 * 33) as f32).to_bits());
    assert_eq!(at(2, 0, 7, 3), ((64 * 33 + 1) as f32).to_bits());
    assert_eq!(at(3, 0, 0, 0), ((64 * 33) as f32).to_bits());
    assert_eq!(at(3, 0, 0, 1), 0.0_f32.to_bits());
    assert_eq!(at(3, 1, 0, 0), 0.0_f32.to_bits());
}
