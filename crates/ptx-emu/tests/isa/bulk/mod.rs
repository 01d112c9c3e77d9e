//! Bulk copies.

mod rules;

use crate::case::{Case, check, module, program};
use ptx_emu::Launch;

fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn value(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761) ^ 0x5a5a
}

/// `%r0` is the thread, `%x0` its place in the output, `%x1` the output and `%x2` the input.
/// Objects `b` (count 1) and `f`; `%p0` is true in thread 0. `%r9` is not stored.
pub(crate) fn text(parameters: usize, body: &str) -> String {
    module(
        "sm_90a",
        parameters,
        &format!(
            ".reg .b16 %h<4>;\n.reg .b32 %r<20>;\n.reg .b64 %x<10>;\n.reg .pred %p<8>;\n\
             .shared .align 8 .b64 b[8];\n.shared .align 128 .b8 s[8192];\n\
             mov.u32 %r0, %tid.x;\nld.param.u64 %x1, [p0];\nld.param.u64 %x2, [p{}];\n\
             mad.wide.u32 %x0, %r0, 4, %x1;\nmov.u32 %r1, s;\nmad.lo.u32 %r1, %r0, 4, %r1;\n\
             setp.eq.u32 %p0, %r0, 0;\n\
             @%p0 mbarrier.init.shared::cta.b64 [b], 1;\n\
             bar.sync 0;\n{body}\n",
            parameters - 1
        ),
    )
}

pub(crate) const LOAD: &str = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
pub(crate) const WAIT: &str =
    "W: mbarrier.try_wait.parity.shared::cta.b64 %p7, [b], 0;\n@!%p7 bra W;\n";

/// 64 threads store the word that a copy brought each of them.
fn load(name: &str, load: &str) -> Case {
    let body = format!(
        "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 256;\n{load}\n{WAIT}\
         ld.shared.u32 %r9, [%r1];\nst.global.u32 [%x0], %r9;"
    );
    program(
        name,
        text(2, &body),
        Launch::linear(1, 64),
        vec![words((0..128).map(value))],
        words((0..64).map(|t| value(t + 4))),
    )
}

/// A producer thread, two warps of consumers, `slots` places of 512 bytes, 6 rounds. Each consumer
/// adds up its words of all rounds.
pub(crate) fn ring(slots: u32) -> Case {
    let body = format!(
        ".shared .align 8 .b64 e[8];\n\
         @%p0 mbarrier.inval.shared::cta.b64 [b];\nmov.u32 %r2, 0;\n\
         I: mad.lo.u32 %r3, %r2, 8, 0;\nmov.u32 %r4, b;\nadd.u32 %r4, %r4, %r3;\n\
         mov.u32 %r5, e;\nadd.u32 %r5, %r5, %r3;\n\
         @%p0 mbarrier.init.shared::cta.b64 [%r4], 1;\n\
         @%p0 mbarrier.init.shared::cta.b64 [%r5], 64;\n\
         add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p1, %r2, {slots};\n@%p1 bra I;\nbar.sync 0;\n\
         mov.u32 %r2, 0;\nmov.u32 %r6, 0;\nmov.u32 %r7, 0;\nmov.u32 %r9, 0;\n\
         setp.lt.u32 %p2, %r0, 64;\n@%p2 bra C;\n\
         setp.ne.u32 %p3, %r0, 64;\n@%p3 bra X;\n\
         P: mad.lo.u32 %r3, %r6, 8, 0;\nmov.u32 %r4, b;\nadd.u32 %r4, %r4, %r3;\n\
         mov.u32 %r5, e;\nadd.u32 %r5, %r5, %r3;\n\
         mov.u32 %r8, s;\nmad.lo.u32 %r8, %r6, 512, %r8;\nxor.b32 %r10, %r7, 1;\n\
         PW: mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r5], %r10;\n@!%p7 bra PW;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 512;\n\
         mad.wide.u32 %x3, %r2, 512, %x2;\n\
         {LOAD} [%r8], [%x3], 256, [%r4];\n{LOAD} [%r8+256], [%x3+256], 256, [%r4];\n\
         add.u32 %r6, %r6, 1;\nsetp.eq.u32 %p4, %r6, {slots};\n\
         @%p4 mov.u32 %r6, 0;\n@%p4 xor.b32 %r7, %r7, 1;\n\
         add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p1, %r2, 6;\n@%p1 bra P;\nbra.uni X;\n\
         C: mad.lo.u32 %r3, %r6, 8, 0;\nmov.u32 %r4, b;\nadd.u32 %r4, %r4, %r3;\n\
         mov.u32 %r5, e;\nadd.u32 %r5, %r5, %r3;\n\
         mad.lo.u32 %r8, %r6, 512, %r1;\n\
         CW: mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r4], %r7;\n@!%p7 bra CW;\n\
         ld.shared.u32 %r11, [%r8];\nld.shared.u32 %r12, [%r8+256];\n\
         add.u32 %r9, %r9, %r11;\nmad.lo.u32 %r9, %r9, 3, %r12;\n\
         mbarrier.arrive.shared::cta.b64 _, [%r5];\n\
         add.u32 %r6, %r6, 1;\nsetp.eq.u32 %p4, %r6, {slots};\n\
         @%p4 mov.u32 %r6, 0;\n@%p4 xor.b32 %r7, %r7, 1;\n\
         add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p1, %r2, 6;\n@%p1 bra C;\n\
         st.global.u32 [%x0], %r9;\nX:"
    );
    let expected = (0..64).map(|t| {
        (0..6).fold(0_u32, |sum, round| {
            let at = 128 * round + t;
            sum.wrapping_add(value(at))
                .wrapping_mul(3)
                .wrapping_add(value(at + 64))
        })
    });
    program(
        &format!("a ring of {slots}"),
        text(2, &body),
        Launch::linear(1, 96),
        vec![words((0..768).map(value))],
        words(expected),
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let launch = Launch::linear(1, 64);
    let cluster = Launch {
        cluster: Some([2, 1, 1]),
        ..Launch::linear(2, 64)
    };
    vec![
        load(
            "from global memory",
            &format!("@%p0 {LOAD} [s], [%x2+16], 256, [b];"),
        ),
        load(
            "to the block's own memory, with a hint",
            "createpolicy.fractional.L2::evict_first.b64 %x5, 1.0;\n\
             mov.u32 %r5, 128;\nmov.u64 %x6, b;\n\
             @%p0 cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.L2::cache_hint \
             [s], [%x2+16], %r5, [%x6], %x5;\n\
             @%p0 cp.async.bulk.prefetch.L2.global [%x2], 256;\n\
             @%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes \
             [s+128], [%x2+144], %r5, [b];",
        ),
        ring(1),
        ring(2),
        ring(3),
        program(
            "to global memory",
            text(
                1,
                "st.shared.u32 [%r1], %r0;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n\
                 @%p0 cp.async.bulk.global.shared::cta.bulk_group [%x1+16], [s+128], 128;\n\
                 cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read 0;\nbar.sync 0;\n\
                 st.shared.u32 [%r1], 7;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n\
                 @%p0 cp.async.bulk.global.shared::cta.bulk_group [%x1], [s], 16;\n\
                 @%p0 cp.async.bulk.commit_group;\n@%p0 cp.async.bulk.wait_group 0;",
            ),
            launch,
            vec![],
            words((0..64).map(|i| match i {
                0..4 => 7,
                4..36 => i + 28,
                _ => 0,
            })),
        ),
        program(
            "to both blocks of a cluster",
            text(
                2,
                &format!(
                    "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 512;\n\
                     barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n\
                     mov.u32 %r2, %cluster_ctarank;\nmov.u16 %h1, 3;\n\
                     mad.wide.u32 %x3, %r2, 256, %x2;\nmad.lo.u32 %r4, %r2, 256, 0;\n\
                     mov.u32 %r5, s;\nadd.u32 %r4, %r4, %r5;\n\
                     @%p0 {LOAD}.multicast::cluster [%r4], [%x3], 256, [b], %h1;\n{WAIT}\
                     ld.shared.u32 %r6, [%r1];\nld.shared.u32 %r7, [%r1+256];\n\
                     sub.u32 %r6, %r6, %r7;\nadd.u32 %r6, %r6, %r2;\n\
                     mad.wide.u32 %x0, %r2, 256, %x0;\nst.global.u32 [%x0], %r6;\n\
                     barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;"
                ),
            ),
            cluster,
            vec![words((0..128).map(value))],
            words((0..128).map(|i| {
                let t = i % 64;
                value(t).wrapping_sub(value(t + 64)).wrapping_add(i / 64)
            })),
        ),
        program(
            "to the other block",
            text(
                1,
                &format!(
                    "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 256;\n\
                     mov.u32 %r2, %cluster_ctarank;\nxor.b32 %r3, %r2, 1;\n\
                     mad.lo.u32 %r4, %r2, 1000, %r0;\nst.shared.u32 [%r1], %r4;\n\
                     fence.proxy.async;\n\
                     barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n\
                     mapa.shared::cluster.u32 %r5, s, %r3;\nmapa.shared::cluster.u32 %r6, b, %r3;\n\
                     @%p0 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes \
                     [%r5+1024], [s], 256, [%r6];\n{WAIT}\
                     ld.shared.u32 %r6, [%r1+1024];\n\
                     mad.wide.u32 %x0, %r2, 256, %x0;\nst.global.u32 [%x0], %r6;\n\
                     barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;"
                ),
            ),
            cluster,
            vec![],
            words((0..128).map(|i| 1000 * (1 - i / 64) + i % 64)),
        ),
    ]
}

#[test]
fn bulk_copies() {
    check(&cases());
}
