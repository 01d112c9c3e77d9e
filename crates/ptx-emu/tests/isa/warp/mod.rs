//! `shfl.sync`, `vote.sync`, `match.sync`, `redux.sync`, `activemask`, `elect.sync`.

mod lanes;
mod shuffles;

use crate::case::{Case, check};
use crate::control::{of_block, of_threads};
use crate::faults::refuses;

/// What `redux` makes of the values of its lanes.
type Reduction = fn(&[u32]) -> u32;

/// What a thread brings to a shuffle.
fn brought(t: u32) -> u32 {
    t.wrapping_mul(0x9e37_79b9) ^ 0x5bd1
}

const BRING: &str = "mul.lo.u32 %r1, %r0, 0x9e3779b9;\nxor.b32 %r1, %r1, 0x5bd1;\n";

/// Lanes that come one after the other, and groups beside each other.
fn groups() -> Vec<Case> {
    let reduce = "shfl.sync.bfly.b32 %r2, %r1, 4, 31, %r5;\nadd.u32 %r1, %r1, %r2;\n\
                  shfl.sync.bfly.b32 %r2, %r1, 2, 31, %r5;\nadd.u32 %r1, %r1, %r2;\n\
                  shfl.sync.bfly.b32 %r2, %r1, 1, 31, %r5;\nadd.u32 %r9, %r1, %r2;";
    let octet = "and.b32 %r3, %r0, 24;\nmov.u32 %r4, 255;\nshl.b32 %r5, %r4, %r3;\n\
                 mov.u32 %r1, %r0;\n";
    let eight = |t: u32| (0..8).map(|i| (t & !7) + i).sum::<u32>();
    vec![
        of_threads(
            "halves of a warp in different branches",
            &format!(
                "{BRING}and.b32 %r3, %r0, 16;\nsetp.eq.u32 %p1, %r3, 0;\n@%p1 bra A;\n\
                 shfl.sync.idx.b32 %r9, %r1, 20, 31, 0xffff0000;\nbra B;\n\
                 A: shfl.sync.bfly.b32 %r9, %r1, 3, 31, 0x0000ffff;\nB:"
            ),
            |t| brought(if t & 16 == 0 { t ^ 3 } else { (t & 32) + 20 }),
        ),
        of_threads(
            "all lanes meet at a shuffle that they reach on different ways",
            &format!(
                "{BRING}mov.u32 %r3, 0;\nsetp.lt.u32 %p1, %r0, 9;\n@%p1 bra S;\n\
                 L: add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p2, %r3, %r0;\n@%p2 bra L;\n\
                 S: shfl.sync.down.b32 %r9, %r1, 1, 31, -1;"
            ),
            |t| brought(if t % 32 == 31 { t } else { t + 1 }),
        ),
        of_threads(
            "groups of eight beside each other",
            &format!("{octet}{reduce}"),
            eight,
        ),
        of_threads(
            "groups of eight that come at different times",
            &format!(
                "{octet}mov.u32 %r6, 0;\nand.b32 %r8, %r0, 15;\n\
                 L: add.u32 %r6, %r6, 1;\nsetp.le.u32 %p2, %r6, %r8;\n@%p2 bra L;\n{reduce}"
            ),
            eight,
        ),
        of_threads(
            "groups of eight in a loop that each leaves by itself",
            &format!(
                "{octet}add.u32 %r10, %r3, 8;\nmov.u32 %r7, 0;\nmov.u32 %r8, 0;\n\
                 L: shfl.sync.idx.b32 %r2, %r0, 7, 0x181f, %r5;\nadd.u32 %r7, %r7, %r2;\n\
                 add.u32 %r8, %r8, 8;\nsetp.lt.u32 %p1, %r8, %r10;\n@%p1 bra L;\n\
                 mov.u32 %r9, %r7;"
            ),
            |t| (t / 8 % 4 + 1) * ((t & !7) + 7),
        ),
        of_block(
            "sm_80",
            "lanes that have exited are not waited for",
            40,
            "setp.ge.u32 %p1, %r0, 36;\n@%p1 bra X;\nvote.sync.ballot.b32 %r9, 1, -1;\nbra S;\n\
             X: ret;\nS:",
            |t| {
                if t < 32 {
                    u32::MAX
                } else if t < 36 {
                    15
                } else {
                    0
                }
            },
        ),
        of_threads(
            "bar.warp.sync of groups",
            &format!(
                ".shared .align 4 .b32 s[64];\nmov.u64 %x2, s;\n{octet}\
                 mad.wide.u32 %x3, %r0, 4, %x2;\nst.shared.u32 [%x3], %r0;\n\
                 bar.warp.sync %r5;\nxor.b32 %r6, %r0, 5;\nmad.wide.u32 %x4, %r6, 4, %x2;\n\
                 ld.shared.u32 %r9, [%x4];"
            ),
            |t| t ^ 5,
        ),
    ]
}

fn votes() -> Vec<Case> {
    let of_warp = |f: fn(u32) -> bool, t: u32| {
        (0..32).fold(0_u32, |mask, i| mask | u32::from(f((t & !31) + i)) << i)
    };
    let odd_pred = "and.b32 %r3, %r0, 1;\nsetp.eq.u32 %p1, %r3, 1;\n";
    let low_pred = "setp.lt.u32 %p1, %r0, 32;\n";
    let bit = "selp.u32 %r9, 1, 0, %p2;";
    vec![
        of_threads(
            "ballot",
            &format!("{odd_pred}vote.sync.ballot.b32 %r9, %p1, -1;"),
            move |t| of_warp(|t| t % 2 == 1, t),
        ),
        of_threads(
            "ballot of a negated predicate, of a part of the warp",
            &format!(
                "{odd_pred}mov.u32 %r9, 1;\nand.b32 %r4, %r0, 31;\nsetp.lt.u32 %p3, %r4, 10;\n\
                 @!%p3 bra E;\nvote.sync.ballot.b32 %r9, !%p1, 0x3ff;\nE:"
            ),
            |t| if t % 32 < 10 { 0b1_0101_0101 } else { 1 },
        ),
        of_threads(
            "all",
            &format!("{low_pred}vote.sync.all.pred %p2, %p1, -1;\n{bit}"),
            |t| u32::from(t < 32),
        ),
        of_threads(
            "not all",
            &format!("{odd_pred}vote.sync.all.pred %p2, %p1, -1;\n{bit}"),
            |_| 0,
        ),
        of_threads(
            "any",
            &format!("{odd_pred}vote.sync.any.pred %p2, %p1, -1;\n{bit}"),
            |_| 1,
        ),
        of_threads(
            "not any",
            &format!("{low_pred}vote.sync.any.pred %p2, !%p1, -1;\n{bit}"),
            |t| u32::from(t >= 32),
        ),
        of_threads(
            "uni",
            &format!("{low_pred}vote.sync.uni.pred %p2, %p1, -1;\n{bit}"),
            |_| 1,
        ),
        of_threads(
            "not uni",
            &format!("{odd_pred}vote.sync.uni.pred %p2, %p1, -1;\n{bit}"),
            |_| 0,
        ),
        of_threads(
            "activemask, of guarded lanes too",
            "mov.u32 %r9, 9;\nsetp.lt.u32 %p1, %r0, 40;\nsetp.ge.u32 %p2, %r0, 4;\n\
             @!%p1 bra E;\n@%p2 activemask.b32 %r9;\nE:",
            |t| match t {
                4..32 => 0xffff_fff0,
                32..40 => 0xff,
                _ => 9,
            },
        ),
        of_block(
            "sm_90",
            "elect",
            64,
            "mov.u32 %r9, 100;\nand.b32 %r4, %r0, 31;\nsetp.lt.u32 %p1, %r4, 5;\n@%p1 bra E;\n\
             elect.sync %r9|%p2, 0xffffffe0;\nselp.u32 %r5, 50, 0, %p2;\nadd.u32 %r9, %r9, %r5;\n\
             elect.sync _|%p2, 0xffffffe0;\nE:",
            |t| match t % 32 {
                0..5 => 100,
                5 => 55,
                _ => 5,
            },
        ),
    ]
}

fn matches_and_reductions() -> Vec<Case> {
    fn value(t: u32) -> u32 {
        (t * 7 + 3) % 5
    }
    fn like(t: u32, f: impl Fn(u32) -> u64) -> u32 {
        (0..32).fold(0, |mask, i| mask | u32::from(f((t & !31) + i) == f(t)) << i)
    }
    let make = "mul.lo.u32 %r1, %r0, 7;\nadd.u32 %r1, %r1, 3;\nrem.u32 %r1, %r1, 5;\n";
    let wide = "and.b32 %r2, %r0, 3;\nmov.b64 %x2, {%r1, %r2};\n";
    let mut cases = vec![
        of_threads(
            "match.any.b32",
            &format!("{make}match.any.sync.b32 %r9, %r1, -1;"),
            |t| like(t, |t| u64::from(value(t))),
        ),
        of_threads(
            "match.any.b64",
            &format!("{make}{wide}match.any.sync.b64 %r9, %x2, -1;"),
            |t| like(t, |t| u64::from(value(t)) << 32 | u64::from(t & 3)),
        ),
        of_threads(
            "match.all.b32",
            "shr.u32 %r1, %r0, 5;\nmatch.all.sync.b32 %r9|%p1, %r1, -1;\n\
             setp.eq.u32 %p2, %r0, 63;\n@%p2 add.u32 %r1, %r1, 1;\n\
             match.all.sync.b32 %r2|%p1, %r1, -1;\nselp.u32 %r3, 1, 0, %p1;\n\
             xor.b32 %r9, %r9, %r2;\nadd.u32 %r9, %r9, %r3;",
            |t| if t < 32 { 1 } else { u32::MAX },
        ),
        of_threads(
            "match.all.b64, of a part",
            "mov.u32 %r9, 7;\nshr.u32 %r1, %r0, 5;\nmov.b64 %x2, {%r9, %r1};\n\
             and.b32 %r4, %r0, 31;\nsetp.lt.u32 %p1, %r4, 3;\n@!%p1 bra E;\n\
             match.all.sync.b64 %r9, %x2, 7;\nmov.b64 %x2, {%r9, %r0};\n\
             match.all.sync.b64 %r8|_, %x2, 7;\nadd.u32 %r9, %r9, %r8;\nE:",
            |_| 7,
        ),
    ];
    let reductions: [(&str, Reduction); 9] = [
        ("add.u32", |v| v.iter().fold(0, |a, b| a.wrapping_add(*b))),
        ("add.s32", |v| v.iter().fold(0, |a, b| a.wrapping_add(*b))),
        ("min.u32", |v| *v.iter().min().unwrap()),
        ("max.u32", |v| *v.iter().max().unwrap()),
        ("min.s32", |v| {
            v.iter()
                .map(|x| x.cast_signed())
                .min()
                .unwrap()
                .cast_unsigned()
        }),
        ("max.s32", |v| {
            v.iter()
                .map(|x| x.cast_signed())
                .max()
                .unwrap()
                .cast_unsigned()
        }),
        ("and.b32", |v| v.iter().fold(u32::MAX, |a, b| a & b)),
        ("or.b32", |v| v.iter().fold(0, |a, b| a | b)),
        ("xor.b32", |v| v.iter().fold(0, |a, b| a ^ b)),
    ];
    for (form, reduce) in reductions {
        cases.push(of_threads(
            &format!("redux {form}"),
            &format!("{BRING}redux.sync.{form} %r9, %r1, -1;"),
            move |t| {
                let values: Vec<_> = (0..32).map(|i| brought((t & !31) + i)).collect();
                reduce(&values)
            },
        ));
        cases.push(of_threads(
            &format!("redux {form} of those that share a mask"),
            &format!(
                "{BRING}or.b32 %r1, %r1, 64;\nand.b32 %r3, %r0, 1;\nsetp.eq.u32 %p1, %r3, 0;\n\
                 selp.u32 %r4, 0x55555555, 0xaaaaaaaa, %p1;\nredux.sync.{form} %r9, %r1, %r4;"
            ),
            move |t| {
                let others = (0..32).filter(|i| i % 2 == t % 2);
                let values: Vec<_> = others.map(|i| brought((t & !31) + i) | 64).collect();
                reduce(&values)
            },
        ));
    }
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shuffles::cases();
    cases.extend(groups());
    cases.extend(votes());
    cases.extend(matches_and_reductions());
    cases
}

#[test]
fn shuffles_follow_the_pseudo_code() {
    check(&shuffles::cases());
}

#[test]
fn groups_wait_for_their_own_lanes() {
    check(&groups());
}

#[test]
fn votes_of_lanes() {
    check(&votes());
}

#[test]
fn values_of_lanes_are_compared_and_reduced() {
    check(&matches_and_reductions());
}

#[test]
fn refusals() {
    for instruction in [
        "shfl.up.b32 %r0, %r1, 1, 0",
        "shfl.sync.rot.b32 %r0, %r1, 1, 0, -1",
        "shfl.sync.up.u32 %r0, %r1, 1, 0, -1",
        "shfl.sync.up.b64 %x0, %x1, 1, 0, -1",
        "shfl.sync.up.b32 %r0, %r1, 1, 0",
        "shfl.sync.up.b32 %r0, %x1, 1, 0, -1",
        "vote.all.pred %p0, %p1",
        "vote.ballot.b32 %r0, %p1",
        "vote.sync.ballot.pred %p0, %p1, -1",
        "vote.sync.all.b32 %r0, %p1, -1",
        "match.sync.b32 %r0, %r1, -1",
        "match.any.b32 %r0, %r1, -1",
        "match.any.sync.u32 %r0, %r1, -1",
        "match.any.sync.b32 %r0|%p0, %r1, -1",
        "redux.sync.add.b32 %r0, %r1, -1",
        "redux.sync.and.u32 %r0, %r1, -1",
        "redux.sync.min.f32 %r0, %r1, -1",
        "redux.sync.min.NaN.f32 %r0, %r1, -1",
        "redux.sync.add.u64 %x0, %x1, -1",
        "activemask.u32 %r0",
        "elect.sync %r0, -1",
        "elect.async %r0|%p0, -1",
    ] {
        refuses("sm_90", instruction);
    }
}
