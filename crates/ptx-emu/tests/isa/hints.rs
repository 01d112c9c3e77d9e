//! Instructions that change no result.

use crate::case::{Case, check};
use crate::control::of_block;
use crate::faults::refuses;

pub(crate) fn cases() -> Vec<Case> {
    let all = [
        "prefetch.global.L1 [%x1]",
        "prefetch.global.L2 [%x1+64]",
        "prefetch.L1 [%x1]",
        "prefetch.local.L2 [%x3]",
        "prefetch.global.L2::evict_last [%x1]",
        "prefetch.global.L2::evict_normal [%x1]",
        "prefetchu.L1 [%x1]",
        "applypriority.global.L2::evict_normal [%x1], 128",
        "applypriority.L2::evict_normal [%x1], 128",
        "griddepcontrol.launch_dependents",
        "griddepcontrol.wait",
        "pmevent 7",
        "pmevent.mask 255",
        "createpolicy.fractional.L2::evict_first.b64 %x4, 0f3F000000",
        "createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %x4, 0f3F800000",
        "createpolicy.fractional.L2::evict_normal.b64 %x4",
        "createpolicy.range.global.L2::evict_last.L2::evict_first.b64 %x4, [%x1], 256, 512",
        "createpolicy.cvt.L2.b64 %x5, %x4",
        "ld.global.L1::no_allocate.L2::cache_hint.u32 %r9, [%x1], %x5",
        "ld.global.nc.L1::evict_last.L2::128B.u32 %r9, [%x1]",
    ];
    let body = format!(
        "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\n\
         .local .align 8 .b8 own[256];\nmov.u64 %x3, own;\nst.global.u32 [%x1], %r0;\n{};",
        all.join(";\n")
    );
    vec![of_block("sm_90", "hints", 32, &body, |t| t)]
}

#[test]
fn hints_change_nothing() {
    check(&cases());
}

#[test]
fn refusals() {
    for instruction in [
        "prefetch.shared.L1 [s]",
        "prefetch.global.L3 [%x0]",
        "prefetch.global [%x0]",
        "prefetch.local.L2::evict_last [%x0]",
        "prefetchu.L2 [%x0]",
        "prefetch.global.L1 %x0",
        "applypriority.global.L2::evict_last [%x0], 128",
        "applypriority.global.L2::evict_normal [%x0], 64",
        "discard.global.L2 [%x0], 128",
        "griddepcontrol",
        "griddepcontrol.wait %r0",
        "createpolicy.fractional.b64 %x0",
        "createpolicy.fractional.L2::evict_last.b32 %r0",
        "createpolicy.range.L2::evict_last.b64 %x0, [%x1], 4",
        "createpolicy.cvt.L2.b64 %r0, %x1",
        "ld.global.u32 %r0, [%x0], %x1",
        "ld.global.L2::cache_hint.u32 %r0, [%x0]",
    ] {
        refuses("sm_90", instruction);
    }
}
