//! `shfl.sync` of whole warps.

use super::{BRING, brought};
use crate::case::Case;
use crate::control::of_threads;

/// The pseudo-code of the ISA: the source lane, and whether it is in range.
fn shuffled(mode: &str, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let [lane, bval, cval, segment] = [lane, b & 31, c & 31, c >> 8 & 31].map(u32::cast_signed);
    let max_lane = (lane & segment) | (cval & !segment);
    let min_lane = lane & segment;
    let (j, p) = match mode {
        "up" => (lane - bval, lane - bval >= max_lane),
        "down" => (lane + bval, lane + bval <= max_lane),
        "bfly" => (lane ^ bval, lane ^ bval <= max_lane),
        _ => {
            let j = min_lane | (bval & !segment);
            (j, j <= max_lane)
        }
    };
    let j = if p { j } else { lane };
    (j.cast_unsigned(), p)
}

/// The value and the predicate in one word.
const WITH_PRED: &str = "shl.b32 %r9, %r2, 1;\nselp.u32 %r3, 1, 0, %p1;\nxor.b32 %r9, %r9, %r3;";

fn shuffle_result(mode: &str, t: u32, b: u32, c: u32) -> u32 {
    let (lane, p) = shuffled(mode, t & 31, b, c);
    brought((t & !31) + lane) << 1 ^ u32::from(p)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in ["up", "down", "bfly", "idx"] {
        for b in [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 0xffff_ffe5] {
            // widths 32 to 1, as `__shfl` makes them, then clamps of any kind
            let mut clamps: Vec<u32> = (0..6)
                .map(|log| (32 - (1 << log)) << 8 | if mode == "up" { 0 } else { 31 })
                .collect();
            clamps.extend([0, 31, 5, 0x0c03, 0x1f1f, 0x0a12, 0xffff_ffff]);
            for c in clamps {
                // constants, as compilers write them
                let text =
                    format!("{BRING}shfl.sync.{mode}.b32 %r2|%p1, %r1, {b}, {c}, -1;\n{WITH_PRED}");
                let name = format!("shfl {mode} {b} {c:#x}");
                let mode = mode.to_owned();
                cases.push(of_threads(&name, &text, move |t| {
                    shuffle_result(&mode, t, b, c)
                }));
            }
        }
        // operands that differ from lane to lane
        for (b, c) in [(3, 0x1c1f), (11, 0x0107), (29, 0x0d1b)] {
            let text = format!(
                "{BRING}mul.lo.u32 %r4, %r0, {b};\nmul.lo.u32 %r5, %r0, {c};\nmov.u32 %r6, -1;\n\
                 shfl.sync.{mode}.b32 %r2|%p1, %r1, %r4, %r5, %r6;\n{WITH_PRED}"
            );
            let name = format!("shfl {mode} by registers");
            let mode = mode.to_owned();
            cases.push(of_threads(&name, &text, move |t| {
                shuffle_result(&mode, t, t.wrapping_mul(b), t.wrapping_mul(c))
            }));
        }
    }
    // constants in registers, as NVRTC writes them
    for (mode, b, c) in [
        ("bfly", 16, 31),
        ("down", 3, 0x181f),
        ("up", 2, 0),
        ("idx", 9, 31),
    ] {
        let text = format!(
            "{BRING}mov.u32 %r4, {b};\nmov.b32 %r5, {c};\nmov.u32 %r6, -1;\n\
             shfl.sync.{mode}.b32 %r2|%p1, %r1, %r4, %r5, %r6;\n{WITH_PRED}"
        );
        let right = move |t| shuffle_result(mode, t, b, c);
        cases.push(of_threads(
            &format!("shfl {mode} by moved constants"),
            &text,
            right,
        ));
    }
    cases.push(of_threads(
        "shfl by a register that is moved to twice",
        &format!(
            "{BRING}mov.u32 %r4, 16;\nmov.u32 %r3, 0;\nmov.u32 %r5, %r1;\n\
             L: shfl.sync.bfly.b32 %r5, %r5, %r4, 31, -1;\nmov.u32 %r4, 1;\n\
             add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p2, %r3, 2;\n@%p2 bra L;\nmov.u32 %r9, %r5;"
        ),
        |t| brought(t ^ 0x11),
    ));
    cases.push(of_threads(
        "shfl by a register that some lanes move to",
        &format!(
            "{BRING}mov.u32 %r4, %r0;\nsetp.ge.u32 %p2, %r0, 4;\n@%p2 mov.u32 %r4, 5;\n\
             shfl.sync.idx.b32 %r9, %r1, %r4, 31, -1;"
        ),
        |t| brought((t & !31) + if t >= 4 { 5 } else { t }),
    ));
    cases.push(of_threads(
        "shfl over its own source, without a predicate, and for a predicate only",
        &format!(
            "{BRING}shfl.sync.down.b32 %r1, %r1, 1, 31, 0xffffffff;\n\
             shfl.sync.up.b32 _|%p1, %r1, 4, 0, -1;\nmov.u32 %r2, %r1;\n{WITH_PRED}"
        ),
        |t| brought(if t % 32 == 31 { t } else { t + 1 }) << 1 ^ u32::from(t % 32 >= 4),
    ));
    cases
}
