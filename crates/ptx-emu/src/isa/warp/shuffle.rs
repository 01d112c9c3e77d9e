//! `shfl.sync` (PTX ISA 9.7.9.6).
//!
//! Nearly always all lanes take part and the operands are constants. Which lane reads which is then
//! known beforehand, and mostly one of a few permutations that become vector instructions.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::collect::{Group, gather_groups};
use crate::exec::{Cx, Flow};
use crate::isa::warp::{pair, put_pred};
use crate::lanes::{Lane, choose, each, lanes_of, mask_of};
use crate::program::Op;
use crate::report::ViolationKind;
use crate::simd::{Handler, Level};

const UP: u8 = 0;
const DOWN: u8 = 1;
const BUTTERFLY: u8 = 2;
const INDEX: u8 = 3;

pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mode = match form.choice(&["up", "down", "bfly", "idx"]) {
        Some("up") => UP,
        Some("down") => DOWN,
        Some("bfly") => BUTTERFLY,
        Some(_) => INDEX,
        None => return Err(form.unsupported("it names no mode")),
    };
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::B32 {
        return Err(form.unsupported("it exchanges 32 bits"));
    }
    let [result, value, b, c, members] = form.operands(instruction)?;
    let slots = [
        d.src(&form, members, ty)?,
        d.src(&form, b, ty)?,
        d.src(&form, c, ty)?,
    ];
    let mut op = match mode {
        UP => d.op::<General<UP>>(),
        DOWN => d.op::<General<DOWN>>(),
        BUTTERFLY => d.op::<General<BUTTERFLY>>(),
        _ => d.op::<General<INDEX>>(),
    };
    op.aux = u32::from(mode);
    let (register, pred) = pair(result);
    op.d = d.dst(&form, register, ty)?;
    op.b = d.pred_dst(&form, pred)?;
    op.a = d.src(&form, value, ty)?;
    op.list = d.list(&slots);
    d.push_shuffle(op);
    Ok(())
}

/// Takes the form for constant operands where all members take part and all operands are known:
/// compilers put the constants into registers.
pub(crate) fn settle(d: &mut Decoder<'_, '_>, op: &mut Op) {
    let slots = [0, 1, 2].map(|at| d.slot_of(op, at));
    if let [Some(u32::MAX), Some(b), Some(c)] = slots.map(|slot| d.known(slot)) {
        let sources = Sources::of(op.aux as u8, &[b; 32], &[c; 32]);
        let Op { run, c, .. } = constant(d, &sources);
        let mut list = vec![slots[0]];
        list.extend(sources.from);
        op.run = run;
        op.c = c;
        op.x = i64::from(sources.fits);
        op.list = d.list(&list);
    }
}

fn low(value: i64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

/// Which lane each lane reads.
struct Sources {
    /// Its own where the computed one is out of range.
    from: [u32; 32],
    /// Lanes whose computed one is in range.
    fits: u32,
}

impl Sources {
    #[inline(always)]
    fn of(mode: u8, b: &[u32; 32], c: &[u32; 32]) -> Self {
        let computed: [u32; 32] = each(|lane| {
            let (lane, b, segment) = (lane as u32, b[lane] & 31, c[lane] >> 8 & 31);
            match mode {
                UP => lane.wrapping_sub(b),
                DOWN => lane + b,
                BUTTERFLY => lane ^ b,
                _ => lane & segment | b & !segment,
            }
        });
        let fits: [bool; 32] = each(|lane| {
            let (clamp, segment) = (c[lane] & 31, c[lane] >> 8 & 31);
            let most = lane as u32 & segment | clamp & !segment;
            let at = computed[lane].cast_signed();
            let most = most.cast_signed();
            if mode == UP { at >= most } else { at <= most }
        });
        Self {
            from: each(|lane| {
                if fits[lane] {
                    computed[lane]
                } else {
                    lane as u32
                }
            }),
            fits: mask_of(&fits),
        }
    }

    /// Whether each lane in range reads the one that `source` says.
    fn are(&self, source: impl Fn(u32) -> u32) -> bool {
        let lanes = (0..).zip(&self.from);
        let mut fitting = lanes.filter(|(lane, _)| self.fits >> lane & 1 != 0);
        fitting.all(|(lane, from)| *from == source(lane))
    }
}

/// The op for a shuffle of which all is known, except which lanes run it.
fn constant(d: &Decoder<'_, '_>, sources: &Sources) -> Op {
    macro_rules! try_all {
        ($($permutation:ident: $($n:literal)*;)*) => {$($(
            if sources.are($permutation::<$n>::source(sources)) {
                let mut op = d.op::<Constant<$permutation<$n>>>();
                op.c = sources.from[0];
                return op;
            }
        )*)*};
    }
    if sources.fits == u32::MAX {
        try_all! {
            Flip: 1 2 4 8 16;
            Spread: 32 16 8 4 2;
        }
    }
    try_all! {
        Down: 1 2 4 8 16;
        Up: 1 2 4 8 16;
    }
    d.op::<Constant<Any>>()
}

trait Permutation {
    /// The values by lane; also of lanes that read their own in truth.
    fn apply(values: &[u32; 32], op: &Op, table: &[u32]) -> [u32; 32];
}

/// Lane `l` reads `l ^ N`.
struct Flip<const N: usize>;
/// All lanes of a segment of `N` read the same lane of it.
struct Spread<const N: usize>;
/// Lane `l` reads `l + N`.
struct Down<const N: usize>;
/// Lane `l` reads `l - N`.
struct Up<const N: usize>;
/// By table.
struct Any;

impl<const N: usize> Flip<N> {
    fn source(_: &Sources) -> impl Fn(u32) -> u32 {
        |lane| lane ^ N as u32
    }
}

impl<const N: usize> Spread<N> {
    fn source(sources: &Sources) -> impl Fn(u32) -> u32 {
        let first = sources.from[0];
        move |lane| (lane & !(N as u32 - 1)) + first
    }
}

impl<const N: usize> Down<N> {
    fn source(_: &Sources) -> impl Fn(u32) -> u32 {
        |lane| lane + N as u32
    }
}

impl<const N: usize> Up<N> {
    fn source(_: &Sources) -> impl Fn(u32) -> u32 {
        |lane| lane.wrapping_sub(N as u32)
    }
}

impl<const N: usize> Permutation for Flip<N> {
    #[inline(always)]
    fn apply(values: &[u32; 32], _: &Op, _: &[u32]) -> [u32; 32] {
        let mut out = *values;
        for pair in out.chunks_exact_mut(2 * N) {
            let (low, high) = pair.split_at_mut(N);
            low.swap_with_slice(high);
        }
        out
    }
}

impl<const N: usize> Permutation for Spread<N> {
    #[inline(always)]
    fn apply(values: &[u32; 32], op: &Op, _: &[u32]) -> [u32; 32] {
        let mut out = *values;
        for segment in out.chunks_exact_mut(N) {
            segment.fill(segment[op.c as usize & (N - 1)]);
        }
        out
    }
}

impl<const N: usize> Permutation for Down<N> {
    #[inline(always)]
    fn apply(values: &[u32; 32], _: &Op, _: &[u32]) -> [u32; 32] {
        let mut out = *values;
        out[..32 - N].copy_from_slice(&values[N..]);
        out
    }
}

impl<const N: usize> Permutation for Up<N> {
    #[inline(always)]
    fn apply(values: &[u32; 32], _: &Op, _: &[u32]) -> [u32; 32] {
        let mut out = *values;
        out[N..].copy_from_slice(&values[..32 - N]);
        out
    }
}

impl Permutation for Any {
    #[inline(always)]
    fn apply(values: &[u32; 32], _: &Op, table: &[u32]) -> [u32; 32] {
        each(|lane| values[table[lane] as usize & 31])
    }
}

/// The slot with the members, then the lane that each lane reads; `x` has those in range.
struct Constant<P>(std::marker::PhantomData<P>);

impl<P: Permutation> Handler for Constant<P> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let table = &cx.grid.program.list(op, 33)[1..];
        let fits = low(op.x);
        if cx.mask != u32::MAX {
            let from = each(|lane| table[lane]);
            return exchange(cx, op, &Sources { from, fits });
        }
        let own = u32::load(&cx.warp.regs, op.a);
        let moved = P::apply(&own, op, table);
        let out = if fits == u32::MAX {
            moved
        } else {
            choose(fits, &moved, &own)
        };
        u32::store(&mut cx.warp.regs, op.d, u32::MAX, &out);
        cx.warp.regs.preds[op.b as usize] = fits;
        Flow::Next
    }
}

/// The slots with the members and the two operands.
struct General<const MODE: u8>;

impl<const MODE: u8> Handler for General<MODE> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let slots = cx.grid.program.list(op, 3);
        let b = u32::load(&cx.warp.regs, slots[1]);
        let c = u32::load(&cx.warp.regs, slots[2]);
        let sources = Sources::of(MODE, &b, &c);
        let members = u32::load(&cx.warp.regs, slots[0]);
        if cx.mask & members.iter().fold(u32::MAX, |all, m| all & m) != u32::MAX {
            return exchange(cx, op, &sources);
        }
        let own = u32::load(&cx.warp.regs, op.a);
        let out = each(|lane| own[sources.from[lane] as usize & 31]);
        u32::store(&mut cx.warp.regs, op.d, u32::MAX, &out);
        cx.warp.regs.preds[op.b as usize] = sources.fits;
        Flow::Next
    }
}

#[inline(never)]
fn exchange(cx: &mut Cx<'_>, op: &Op, sources: &Sources) -> Flow {
    let members = u32::load(&cx.warp.regs, cx.grid.program.list(op, 1)[0]);
    let groups = match gather_groups(cx, op, &members) {
        Ok(groups) => groups,
        Err(flow) => return flow,
    };
    let own = u32::load(&cx.warp.regs, op.a);
    for Group { members, lanes } in groups.iter() {
        let mut out = own;
        for lane in lanes_of(lanes) {
            let from = sources.from[lane] & 31;
            if from as usize != lane && lanes & members & 1 << from == 0 {
                let kind = ViolationKind::ShuffleFromInactive {
                    lane: u32::try_from(lane).unwrap_or(0),
                    source_lane: from,
                };
                cx.violate(op, lane, kind);
            } else {
                out[lane] = own[from as usize];
            }
        }
        u32::store(&mut cx.warp.regs, op.d, lanes, &out);
        put_pred(cx, op.b, lanes, sources.fits);
    }
    Flow::Next
}
