use super::Random;
use super::descriptor::swizzled_by_table;
use crate::matrix::swizzle::Swizzle;
use crate::matrix::tensor_map::{ElementType, Fill, TensorMap, TensorMapError, TensorMapSpec};

const SPEC: TensorMapSpec = TensorMapSpec {
    element: ElementType::Bf16,
    address: 0x10_0000_0100,
    dims: &[100, 30, 7],
    strides: &[208, 6656],
    box_dims: &[64, 4, 2],
    element_strides: &[1, 1, 1],
    swizzle: Swizzle::B128,
    fill: Fill::Zero,
};

/// A box element by element, into a shared memory of 64 KiB that starts as `0xcc`; global bytes
/// come from a hash of their address.
fn copy_naively(spec: &TensorMapSpec, start: &[i64], shared: u32) -> Vec<u8> {
    let size = u64::from(spec.element.size());
    let mut memory = vec![0xcc; 1 << 16];
    let counts: Vec<i64> = (0..spec.dims.len())
        .map(|d| {
            let step = if d == 0 { 1 } else { spec.element_strides[d] };
            i64::from(spec.box_dims[d].div_ceil(step))
        })
        .collect();
    let mut index = vec![0; counts.len()];
    for n in 0.. {
        let mut global = spec.address;
        let mut inside = true;
        for d in 0..counts.len() {
            let step = if d == 0 {
                1
            } else {
                i64::from(spec.element_strides[d])
            };
            let at = start[d] + index[d] * step;
            let stride = if d == 0 { size } else { spec.strides[d - 1] };
            inside &= at >= 0 && at < spec.dims[d].cast_signed();
            global = global.wrapping_add(stride.wrapping_mul(at.cast_unsigned()));
        }
        for byte in 0..size {
            let linear = u32::try_from(n * size + byte).unwrap();
            let at = swizzled_by_table(spec.swizzle, shared + linear) as usize;
            let nan = [0xff, 0x7f][usize::from(byte + 1 == size)];
            memory[at] = match (inside, spec.fill) {
                (true, _) => global_byte(global + byte),
                (false, Fill::Zero) => 0,
                (false, Fill::Nan) => nan,
            };
        }
        // The next index, the innermost first.
        let Some(d) = (0..counts.len()).find(|&d| index[d] + 1 < counts[d]) else {
            break;
        };
        index[..d].fill(0);
        index[d] += 1;
    }
    memory
}

fn global_byte(address: u64) -> u8 {
    u8::try_from(Random(address).next() >> 57).unwrap() // below 0x80: no fill byte of NaN
}

fn copy_by_rows(map: &TensorMap, start: [i32; 5], shared: u32) -> Vec<u8> {
    let mut memory = vec![0xcc; 1 << 16];
    let fill = map.fill_bytes();
    for row in map.rows(start) {
        for byte in 0..map.row_bytes() {
            let at = map.shared_address(shared, row.offset + byte) as usize;
            memory[at] = if row.inside.contains(&byte) {
                global_byte(row.global + u64::from(byte - row.inside.start))
            } else {
                fill[byte as usize % 8]
            };
        }
    }
    memory
}

#[test]
fn boxes_hold_the_elements_of_the_tensor() {
    let specs = [
        SPEC,
        TensorMapSpec {
            swizzle: Swizzle::None,
            element: ElementType::F32,
            dims: &[37],
            strides: &[],
            box_dims: &[128],
            element_strides: &[1],
            fill: Fill::Nan,
            ..SPEC
        },
        TensorMapSpec {
            swizzle: Swizzle::B64,
            element: ElementType::F16,
            box_dims: &[32, 7, 5],
            element_strides: &[5, 3, 2], // the first does not count
            fill: Fill::Nan,
            ..SPEC
        },
        TensorMapSpec {
            swizzle: Swizzle::B32,
            element: ElementType::F64,
            dims: &[9, 4, 3, 2, 5],
            strides: &[80, 320, 960, 1920],
            box_dims: &[4, 3, 2, 2, 3],
            element_strides: &[1, 1, 1, 1, 2],
            fill: Fill::Nan,
            ..SPEC
        },
        TensorMapSpec {
            swizzle: Swizzle::B32,
            element: ElementType::U8,
            box_dims: &[32, 20, 1],
            ..SPEC
        },
    ];
    let mut random = Random(8);
    for spec in specs {
        let map = TensorMap::new(&spec).unwrap();
        let rank = spec.dims.len();
        assert_eq!(map.rank(), rank);
        for trial in 0..200 {
            let mut start = [0; 5];
            for d in 0..rank {
                // From well before the tensor to well behind it.
                let span = i32::try_from(spec.dims[d]).unwrap() + 16;
                start[d] = i32::try_from(random.below(usize::try_from(span).unwrap())).unwrap() - 8;
            }
            let shared = 1024 + 128 * u32::try_from(trial % 8).unwrap();
            let wide: Vec<i64> = start[..rank].iter().map(|&x| i64::from(x)).collect();
            let expected = copy_naively(&spec, &wide, shared);
            let found = copy_by_rows(&map, start, shared);
            assert!(found == expected, "{spec:?} at {start:?}");
        }
        // Coordinates at the ends of their range do not overflow.
        for end in [i32::MIN, i32::MAX] {
            assert!(map.rows([end; 5]).all(|row| row.inside.is_empty()));
        }
    }
}

#[test]
fn box_bytes_count_what_the_mbarrier_expects() {
    assert_eq!(TensorMap::new(&SPEC).unwrap().box_bytes(), 64 * 2 * 4 * 2);
    let strided = TensorMapSpec {
        element_strides: &[8, 3, 2], // the first does not count
        ..SPEC
    };
    // ceil(4 / 3) = 2 rows, ceil(2 / 2) = 1 plane
    let map = TensorMap::new(&strided).unwrap();
    assert_eq!(map.counts(), [64, 2, 1, 1, 1]);
    assert_eq!(map.box_bytes(), 64 * 2 * 2);
}

#[test]
fn encoding_round_trips_and_detects_changes() {
    let strided = TensorMapSpec {
        element: ElementType::F32,
        dims: &[1 << 32, 1, 5, 6],
        strides: &[16, (1 << 40) - 16, 32],
        box_dims: &[256, 1, 256, 3],
        element_strides: &[1, 8, 2, 1],
        swizzle: Swizzle::None,
        fill: Fill::Nan,
        ..SPEC
    };
    for spec in [SPEC, strided] {
        let map = TensorMap::new(&spec).unwrap();
        let bytes = map.encode();
        assert_eq!(TensorMap::decode(&bytes), Ok(map));
        for at in 0..128 {
            let mut changed = bytes;
            changed[at] ^= 0x10;
            assert_eq!(
                TensorMap::decode(&changed),
                Err(TensorMapError::Foreign),
                "byte {at}"
            );
        }
    }
    assert_eq!(TensorMap::decode(&[0; 128]), Err(TensorMapError::Foreign));
}

#[test]
fn rejects_what_the_driver_rejects() {
    let value = |spec: TensorMapSpec| match TensorMap::new(&spec) {
        Err(TensorMapError::Value { what, dim, .. }) => Some((what, dim)),
        _ => None,
    };
    assert!(TensorMap::new(&SPEC).is_ok());
    let dims = &[100, 0, 7];
    assert_eq!(value(TensorMapSpec { dims, ..SPEC }), Some(("dims", 1)));
    let dims = &[(1 << 32) + 1, 30, 7];
    assert_eq!(value(TensorMapSpec { dims, ..SPEC }), Some(("dims", 0)));
    let strides = &[208, 6664];
    assert_eq!(
        value(TensorMapSpec { strides, ..SPEC }),
        Some(("strides", 1))
    );
    let strides = &[1 << 40, 6656];
    assert_eq!(
        value(TensorMapSpec { strides, ..SPEC }),
        Some(("strides", 0))
    );
    let box_dims = &[64, 257, 2];
    assert_eq!(
        value(TensorMapSpec { box_dims, ..SPEC }),
        Some(("box_dims", 1))
    );
    let element_strides = &[1, 1, 9];
    let found = value(TensorMapSpec {
        element_strides,
        ..SPEC
    });
    assert_eq!(found, Some(("element_strides", 2)));

    let width = |spec: TensorMapSpec| match TensorMap::new(&spec) {
        Err(TensorMapError::Width { found, .. }) => Some(found),
        _ => None,
    };
    // Wider than the span, narrower than it, and no multiple of 16 bytes.
    assert_eq!(
        width(TensorMapSpec {
            swizzle: Swizzle::B64,
            ..SPEC
        }),
        Some(128)
    );
    assert_eq!(
        width(TensorMapSpec {
            box_dims: &[32, 4, 2],
            ..SPEC
        }),
        Some(64)
    );
    let odd = TensorMapSpec {
        box_dims: &[12, 4, 2],
        swizzle: Swizzle::None,
        ..SPEC
    };
    assert_eq!(width(odd), Some(24));

    let rank = TensorMap::new(&TensorMapSpec {
        strides: &[208],
        ..SPEC
    });
    assert!(matches!(
        rank,
        Err(TensorMapError::Rank {
            rank: 3,
            strides: 1,
            ..
        })
    ));
    let address = TensorMap::new(&TensorMapSpec {
        address: 0x108,
        ..SPEC
    });
    assert_eq!(address, Err(TensorMapError::Address { address: 0x108 }));
    let element = ElementType::U16;
    let fill = TensorMap::new(&TensorMapSpec {
        element,
        fill: Fill::Nan,
        ..SPEC
    });
    assert_eq!(fill, Err(TensorMapError::Fill { found: element }));
}
