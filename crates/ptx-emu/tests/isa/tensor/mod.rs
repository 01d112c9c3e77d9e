//! Tensor copies. Expected bytes are worked out element by element.

mod shape;

use shape::Shape;

use crate::faults::{kinds, refuses};
use ptx_emu::{
    Arg, Checks, Device, DeviceSpec, ElementType, Fill, Launch, Module, Report, Schedule, Swizzle,
    TensorMapError,
};

/// A kernel that loads the box at `start` into `s` and stores that to the output, or the other way
/// round.
fn text(shape: &Shape, start: &[i32], store: bool, body: Option<&str>) -> String {
    let coordinates: Vec<_> = start.iter().map(i32::to_string).collect();
    let (rank, place) = (start.len(), coordinates.join(", "));
    let bytes = shape.box_bytes();
    let copy = if store {
        format!(
            "cp.async.bulk.tensor.{rank}d.global.shared::cta.bulk_group [%x4, {{{place}}}], [s];"
        )
    } else {
        format!(
            "cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile\
             .mbarrier::complete_tx::bytes [s], [%x4, {{{place}}}], [b];"
        )
    };
    let filling = "L: setp.ge.u32 %p1, %r2, %r3;\n@%p1 bra F;\nmul.wide.u32 %x1, %r2, 1;\n\
                   add.u64 %x2, %x1, %x0;\nadd.u32 %r4, %r2, %r1;\n";
    let next = "add.u32 %r2, %r2, 128;\nbra.uni L;\nF:\n";
    let wait = "mov.u32 %r2, 0;\nW: mbarrier.try_wait.parity.shared::cta.b64 %p2, [b], 0;\n\
                @!%p2 bra W;\nmad.lo.u32 %r2, %r0, 4, 0;\n";
    let default = if store {
        format!(
            "{filling}ld.global.u32 %r5, [%x2];\nst.shared.u32 [%r4], %r5;\n{next}\
             fence.proxy.async.shared::cta;\nbar.sync 0;\n@%p0 {copy}\n\
             @%p0 cp.async.bulk.commit_group;\n@%p0 cp.async.bulk.wait_group 0;"
        )
    } else {
        format!(
            "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], {bytes};\n\
             @%p0 prefetch.tensormap [%x4];\n\
             @%p0 cp.async.bulk.prefetch.tensor.{rank}d.L2.global [%x4, {{{place}}}];\n\
             @%p0 {copy}\n{wait}{filling}ld.shared.u32 %r5, [%r4];\nst.global.u32 [%x2], %r5;\n\
             {next}"
        )
    };
    let body = body.map_or(default, |body| {
        body.replace("COPY", &copy).replace("WAIT", wait)
    });
    format!(
        ".version 8.6\n.target sm_90a\n.address_size 64\n.visible .entry t(\n\
         .param .u64 p0,\n.param .align 64 .b8 m[128])\n{{\n\
         .reg .b32 %r<20>;\n.reg .b64 %x<10>;\n.reg .pred %p<8>;\n\
         .shared .align 1024 .b8 s[16384];\n.shared .align 8 .b64 b;\n\
         mov.u32 %r0, %tid.x;\nld.param.u64 %x0, [p0];\nmov.u32 %r1, s;\n\
         mov.b64 %x3, m;\ncvta.param.u64 %x4, %x3;\nsetp.eq.u32 %p0, %r0, 0;\n\
         @%p0 mbarrier.init.shared::cta.b64 [b], 1;\nbar.sync 0;\n\
         mad.lo.u32 %r2, %r0, 4, 0;\nmov.u32 %r3, {bytes};\n{body}\nret;\n}}\n"
    )
}

/// Runs a kernel with a tensor that holds `tensor` and another buffer; both afterwards.
fn run(
    shape: &Shape,
    ptx: &str,
    (tensor, other): (&[u8], &[u8]),
    (schedule, checks): (Schedule, Checks),
) -> (Report, Vec<u8>, Vec<u8>) {
    let module = Module::parse(ptx).unwrap_or_else(|error| panic!("{error}\n{ptx}"));
    let mut device = Device::new(DeviceSpec::h200());
    device.set_schedule(schedule);
    device.set_checks(checks);
    device.set_budget(100_000);
    let buffers = [tensor, other].map(|bytes| {
        let buffer = device.alloc(bytes.len() as u64).unwrap();
        device.write(&buffer, bytes).unwrap();
        buffer
    });
    let map = shape.map(buffers[0].address()).unwrap().encode();
    let args = [Arg::in_out(&buffers[1]), Arg::bytes(&map)];
    let report = device
        .launch(&module, "t", &Launch::linear(1, 32), &args)
        .unwrap();
    let [tensor, other] = buffers.map(|buffer| device.read(&buffer).unwrap());
    (report, tensor, other)
}

fn noise(count: usize) -> Vec<u8> {
    (0..count)
        .map(|i| (i * 7919 + i / 256 * 31 + 1) as u8)
        .collect()
}

fn shapes() -> Vec<(Shape, Vec<i32>)> {
    let plain = Shape::new;
    vec![
        (plain(&[100], &[64]), vec![8]),
        (plain(&[100], &[64]), vec![70]),
        (plain(&[100], &[64]), vec![-3]),
        (plain(&[100], &[64]), vec![-100]),
        (plain(&[40, 30], &[8, 16]), vec![4, 5]),
        (plain(&[40, 30], &[8, 16]), vec![36, 20]),
        (plain(&[40, 30], &[8, 16]), vec![-2, -3]),
        (plain(&[12, 6, 5], &[8, 4, 3]), vec![6, 3, -1]),
        (plain(&[8, 5, 4, 3], &[4, 3, 2, 2]), vec![1, 3, 1, 2]),
        (
            plain(&[8, 5, 4, 3, 3], &[4, 3, 2, 2, 2]),
            vec![-1, 1, 3, 1, 0],
        ),
        (
            Shape {
                steps: vec![1, 2, 3],
                ..plain(&[16, 20, 20], &[8, 6, 7])
            },
            vec![0, 3, 4],
        ),
        (
            Shape {
                element: ElementType::Bf16,
                swizzle: Swizzle::B128,
                ..plain(&[150, 70], &[64, 64])
            },
            vec![64, 3],
        ),
        (
            Shape {
                element: ElementType::F16,
                swizzle: Swizzle::B64,
                fill: Fill::Nan,
                ..plain(&[150, 70], &[32, 64])
            },
            vec![129, 33],
        ),
        (
            Shape {
                swizzle: Swizzle::B32,
                element: ElementType::F32,
                fill: Fill::Nan,
                ..plain(&[50, 70], &[8, 64])
            },
            vec![-3, -1],
        ),
        (
            Shape {
                element: ElementType::U8,
                ..plain(&[77, 9], &[48, 4])
            },
            vec![33, 4],
        ),
        (
            Shape {
                element: ElementType::U64,
                ..plain(&[9, 9], &[6, 4])
            },
            vec![-1, 7],
        ),
    ]
}

const WAYS: [(Schedule, Checks); 4] = [
    (Schedule::Forward, Checks::ALL),
    (Schedule::Reverse, Checks::ALL),
    (Schedule::Shuffle(3), Checks::ALL),
    (Schedule::Forward, Checks::NONE),
];

#[test]
fn boxes_are_loaded() {
    for (shape, start) in shapes() {
        let tensor = noise(shape.bytes() as usize);
        let size = shape.size() as usize;
        let mut expected = vec![0; shape.box_bytes()];
        shape.elements(&start, |place, offset| {
            let element = match offset {
                Some(at) => tensor[at..at + size].to_vec(),
                None => shape.fill_bytes(),
            };
            expected[place..place + size].copy_from_slice(&element);
        });
        let ptx = text(&shape, &start, false, None);
        for way in WAYS {
            let blank = vec![0; shape.box_bytes()];
            let (report, _, found) = run(&shape, &ptx, (&tensor, &blank), way);
            assert!(report.is_clean(), "{shape:?} at {start:?}: {report}");
            assert_eq!(found, expected, "{shape:?} at {start:?}, {way:?}");
        }
    }
}

#[test]
fn boxes_are_stored() {
    for (shape, start) in shapes() {
        let tensor = noise(shape.bytes() as usize);
        let source: Vec<u8> = noise(shape.box_bytes()).iter().map(|x| !x).collect();
        let size = shape.size() as usize;
        let mut expected = tensor.clone();
        shape.elements(&start, |place, offset| {
            if let Some(at) = offset {
                expected[at..at + size].copy_from_slice(&source[place..place + size]);
            }
        });
        let ptx = text(&shape, &start, true, None);
        for way in WAYS {
            let (report, found, _) = run(&shape, &ptx, (&tensor, &source), way);
            assert!(report.is_clean(), "{shape:?} at {start:?}: {report}");
            assert_eq!(found, expected, "{shape:?} at {start:?}, {way:?}");
        }
    }
}

#[test]
fn rules_of_tensor_copies() {
    let shape = Shape::new(&[40, 30], &[8, 16]);
    let expect = "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 512;\n";
    let tensor = noise(shape.bytes() as usize);
    let check = |body: &str, expected: &[&str]| {
        let ptx = text(&shape, &[4, 5], false, Some(body));
        for schedule in crate::case::SCHEDULES {
            let way = (schedule, Checks::ALL);
            let (report, ..) = run(&shape, &ptx, (&tensor, &[0; 512]), way);
            assert_eq!(kinds(&report), expected, "{report}\n{body}");
        }
    };
    check(&format!("{expect}@%p0 COPY\nWAIT"), &[]);
    // not a map: the output, a parameter of another kind, and misaligned
    for (map, expected) in [
        ("mov.u64 %x4, %x0;\n", "TensorMap"),
        ("add.u64 %x4, %x4, 32;\n", "Misaligned"),
        ("add.u64 %x4, %x4, 64;\n", "OutOfBounds"),
    ] {
        check(&format!("{map}@%p0 COPY"), &[expected]);
    }
    check(
        "ld.global.u32 %r5, [%x0];\n@%p0 COPY\n@%p0 ld.shared.u32 %r6, [s+508];",
        &["CopyNotAwaited"],
    );
    check(
        "@%p0 COPY\n@%p0 ld.shared.u32 %r6, [s+512];",
        &["Uninitialised"],
    );
    let ptx = text(
        &shape,
        &[4, 5],
        false,
        Some(&format!("{expect}@%p0 COPY\nWAIT")),
    );
    for (from, to, expected) in [
        ("[s], [%x4", "[s+64], [%x4", "Misaligned"),
        ("[s], [%x4", "[s+16256], [%x4", "OutOfBounds"),
        ("2d.shared", "1d.shared", "TensorMap"),
    ] {
        let mut ptx = ptx.replace(from, to);
        if expected == "TensorMap" {
            ptx = ptx.replace("{4, 5}", "{4}").replace("@!%p2 bra W;", "");
        }
        let way = (Schedule::Forward, Checks::ALL);
        let (report, ..) = run(&shape, &ptx, (&tensor, &[0; 512]), way);
        assert_eq!(kinds(&report), [expected], "{report}");
    }
    // only the part inside the tensor is read from shared memory
    for (start, expected) in [([36, 28], 1), ([40, 28], 0)] {
        let body = "@%p0 COPY\n@%p0 cp.async.bulk.commit_group;\n@%p0 cp.async.bulk.wait_group 0;";
        let ptx = text(&shape, &start, true, Some(body));
        let way = (Schedule::Forward, Checks::ALL);
        let (report, ..) = run(&shape, &ptx, (&tensor, &[0; 512]), way);
        assert_eq!(report.violations.len(), expected, "{report}");
    }
}

#[test]
fn maps_that_cannot_be() {
    let good = Shape::new(&[40, 30], &[8, 16]);
    assert!(good.map(0x1000).is_ok());
    assert!(matches!(
        good.map(0x1008),
        Err(TensorMapError::Address { .. })
    ));
    let narrow = Shape::new(&[40, 30], &[3, 16]);
    assert!(matches!(narrow.map(0), Err(TensorMapError::Width { .. })));
    let wide = Shape::new(&[40, 30], &[300, 16]);
    assert!(matches!(wide.map(0), Err(TensorMapError::Value { .. })));
}

#[test]
fn forms_that_do_not_exist() {
    let load = "shared::cluster.global.mbarrier::complete_tx::bytes";
    for instruction in [
        format!("cp.async.bulk.tensor.{load} [s], [%x1, {{%r1}}], [s]"),
        format!("cp.async.bulk.tensor.2d.{load} [s], [%x1, {{%r1}}], [s]"),
        format!("cp.async.bulk.tensor.1d.{load} [s], [%x1], [s]"),
        format!(
            "cp.async.bulk.tensor.3d.im2col.{load} [s], [%x1, {{%r1, %r1, %r1}}], [s], {{%h1}}"
        ),
        format!("cp.async.bulk.tensor.2d.tile::gather4.{load} [s], [%x1, {{%r1, %r1}}], [s]"),
        format!("cp.async.bulk.tensor.1d.{load}.multicast::cluster [s], [%x1, {{%r1}}], [s]"),
        "cp.async.bulk.tensor.1d.global.shared::cta.mbarrier::complete_tx::bytes \
         [%x1, {%r1}], [s], [s]"
            .to_owned(),
        "cp.reduce.async.bulk.tensor.1d.global.shared::cta.add.bulk_group [%x1, {%r1}], [s]"
            .to_owned(),
    ] {
        refuses("sm_90a", &instruction);
    }
}
