//! The rule that says which products go in parts, and how many blocks share a tile; and what a launch
//! leaves for the next one.

use ptx_emu::{Arg, Device, DeviceSpec};
use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::kernels;
use pvt_cuda::kernels::pack::unit_inner;
use pvt_cuda::kernels::parts::{Family, MOST_SHARED_TILES, inner_parts, parts_tile};
use pvt_cuda::kernels::tiles::{MOST_SHARED, conv_tile, linear_tile};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::DType;

use crate::parts::{REAL, count, launch, tile};
use crate::products::{DTYPES, Random};
use crate::run::ORDERS;
use crate::run::parsed;

#[test]
fn parts_follow_one_image_and_blocks_all_of_them() {
    for dtype in DTYPES {
        for rows in [1, 49, 196, 784, 3136] {
            for inner in [16, 64, 512, 1280, 2048, 4096] {
                for cols in [8, 64, 320, 512] {
                    let (parts, units) = inner_parts(dtype, rows, inner, cols);
                    let all = inner.div_ceil(unit_inner(dtype));
                    assert!(parts * units >= all && (parts - 1) * units < all);
                    for images in [1, 2, 8, 32, 1000] {
                        for family in [
                            Family::Linear,
                            Family::Conv { norm: false },
                            Family::Conv { norm: cols <= 128 },
                        ] {
                            let tile = parts_tile(dtype, family, (images, rows), inner, cols);
                            assert_eq!(tile.is_some(), parts > 1);
                            let Some(tile) = tile else { continue };
                            assert_eq!((tile.parts, tile.units), (count(parts), count(units)));
                            assert!(tile.shared.iter().all(|&s| s as usize <= MOST_SHARED));
                            let (x, y) = tile.grid(images * rows, cols);
                            assert!(tile.blocks == 1 || x * y <= MOST_SHARED_TILES, "{tile:?}");
                            assert!(tile.blocks <= tile.parts);
                            if family == (Family::Conv { norm: true }) {
                                assert!(tile.cols as usize >= cols);
                            }
                        }
                    }
                }
            }
        }
        // a third of the time has to be saved: there is more of it where a unit has fewer elements
        let marginal = parts_tile(dtype, Family::Linear, (1, 196), 1280, 320);
        assert_eq!(marginal.is_some(), dtype.bytes() == 4, "{dtype}");
        // many images: nothing is stored on the way
        let many = parts_tile(dtype, Family::Linear, (1024, 50), 2048, 512).unwrap();
        assert_eq!((many.rows, many.blocks), (128, 1));
    }
}

/// Blocks, and units that each walks, before and after.
#[test]
fn few_rows_have_work_for_many_blocks() {
    for dtype in DTYPES {
        for (rows, inner, cols, patch) in REAL {
            for images in [1, 8, 32] {
                let family = if patch == 0 {
                    Family::Linear
                } else {
                    Family::Conv { norm: false }
                };
                let tile = parts_tile(dtype, family, (images, rows), inner, cols).unwrap();
                let (x, y) = tile.grid(images * rows, cols);
                let each = (tile.parts.div_ceil(tile.blocks) * tile.units) as usize;
                let before = if patch == 0 {
                    let tile = linear_tile(dtype, images * rows, inner, cols, false).unwrap();
                    (images * rows).div_ceil(tile.rows as usize) * tile.groups as usize
                } else {
                    let tile = conv_tile(dtype, images * rows, cols, false);
                    let tiles_across = cols.div_ceil(tile.cols as usize);
                    (images * rows).div_ceil(tile.rows as usize) * tiles_across
                };
                let all = inner.div_ceil(unit_inner(dtype));
                let each = each.min(all);
                print!("whole: {before} blocks, {all} units; ");
                println!(
                    "{} {images} x {rows} x {inner} x {cols}: {}x{}, {} blocks ({} a tile), {each} units, {} bytes",
                    dtype.name(),
                    tile.rows,
                    tile.cols,
                    x * y * tile.blocks as usize,
                    tile.blocks,
                    4 * tile.partials(images * rows, cols)
                );
                let tiles = rows.div_ceil(32) * cols.div_ceil(64);
                if images == 1 {
                    assert!(tile.blocks > 1 && x * y * tile.blocks as usize > 2 * tiles);
                }
            }
        }
    }
}

/// Every product of a network is added in the same parts whatever the batch.
#[test]
fn plans_have_the_same_parts_in_every_batch() {
    for variant in Variant::ALL {
        for dtype in DTYPES {
            for mode in [Mode::Classify, Mode::Backbone] {
                let parts = |batch| -> Vec<(String, String)> {
                    let spec = PlanSpec::infer(batch, ImageSize::square(224), mode);
                    let plan = Plan::new(&variant.config(), spec.kernels(dtype)).unwrap();
                    let steps = plan.steps().iter().map(|step| {
                        let shapes = step.shapes();
                        let parts = shapes.split_once(" in ").map_or("", |(_, parts)| parts);
                        let parts = parts.split_once(" by ").map_or("", |(parts, _)| parts);
                        (step.label().to_owned(), parts.to_owned())
                    });
                    steps.collect()
                };
                let alone = parts(1);
                assert!(alone.iter().filter(|(_, parts)| !parts.is_empty()).count() > 8);
                for batch in [2, 3, 32, 200] {
                    assert!(alone == parts(batch), "{variant} {dtype} {batch}");
                }
            }
        }
    }
}

/// The smallest model in the emulator has tiles that several blocks share: its tests, of batches, of orders and of
/// second runs, are tests of this too. Where elements have two bytes its inner dimensions are too short.
#[test]
fn the_smallest_model_has_shared_tiles() {
    let config = PvtConfig::from_file("tests/fixtures/reference/v1-micro/config.json").unwrap();
    let image = ImageSize {
        height: 72,
        width: 100,
    };
    for dtype in [DType::F32, DType::Tf32] {
        let spec = PlanSpec::infer(1, image, Mode::Classify).kernels(dtype);
        let plan = Plan::new(&config, spec).unwrap();
        assert!(plan.launches().any(|l| l.grid[2] > 1), "{dtype}");
        assert!(plan.setup().iter().any(|step| step.label() == "arrivals"));
    }
}

/// A launch leaves its counters as the next one needs them, and the next one does not read old sums.
#[test]
fn two_launches_on_the_same_memory_give_the_same_bits() {
    for dtype in DTYPES {
        let (rows, inner, cols) = (40, 5 * unit_inner(dtype), 72);
        let tile = tile(dtype, (32, 64), inner, (2, 3));
        let mut random = Random::new(1);
        let x = random.tensor(dtype, rows * inner, 4.0, 0.0).0;
        let weight = random.weight(dtype, (cols, inner), |k| k).0;
        let mut device = Device::new(DeviceSpec::h200());
        let [partials, arrived, y] = [
            4 * tile.partials(rows, cols),
            4 * 4,
            rows * cols * dtype.bytes(),
        ]
        .map(|bytes| device.alloc(bytes as u64).unwrap());
        let [x, weight] = [x, weight].map(|bytes| {
            let buffer = device.alloc(bytes.len() as u64).unwrap();
            device.write(&buffer, &bytes).unwrap();
            buffer
        });
        device.write(&arrived, &[0; 16]).unwrap();
        let arguments = [
            Arg::input(&x),
            Arg::input(&weight),
            Arg::null(),
            Arg::null(),
            Arg::output(&y),
            Arg::output(&partials),
            Arg::in_out(&arrived),
            Arg::u32(count(rows)),
            Arg::u32(count(inner)),
            Arg::u32(count(cols)),
            Arg::u32(count(inner)),
            Arg::u32(tile.units),
        ];
        let entry = format!("{}_{}", tile.linear_entry, dtype.name());
        let launch = launch(&tile, tile.shared[0], rows, cols);
        let code = parsed("linear", dtype.name());
        let mut both = ORDERS.map(|order| {
            device.set_schedule(order);
            let report = device.launch(&code, &entry, &launch, &arguments);
            assert!(report.unwrap().is_clean());
            assert_eq!(device.read(&arrived).unwrap(), [0; 16]);
            device.read(&y).unwrap()
        });
        both.sort();
        assert!(both[0] == both[2], "{dtype}");
    }
}

/// Between a block's stores of its sums and the count of its arrival stand a barrier and a fence, and a fence and a
/// barrier before it reads those of others. The emulator orders whole blocks and could not tell that a thread stored late.
#[test]
fn arrivals_stand_between_barriers_and_fences() {
    let texts = ["linear", "patch_conv"].map(|module| {
        DTYPES.map(|dtype| kernels::module(module, dtype.name()).unwrap().unwrap().ptx)
    });
    for text in texts.as_flattened() {
        let entries = text.split(".entry ").filter(|text| {
            let (entry, _) = text.split_once('(').unwrap_or_default();
            entry.contains("_parts_fwd_")
        });
        assert_eq!(entries.clone().count(), 3);
        for entry in entries {
            let (before, rest) = entry.split_once("fence.acq_rel.gpu;").unwrap();
            let (count, after) = rest.split_once("fence.acq_rel.gpu;").unwrap();
            assert!(count.contains("atom.relaxed.gpu.global.inc"));
            assert!(before.rfind("bar.sync") > before.rfind("st.global"));
            assert!(after.find("bar") < after.find("ld.global"));
        }
    }
}
