//! `fence` and `membar` (PTX ISA 9.7.13).
//!
//! Memory is sequentially consistent here, so fences change no result. They say what later atomic
//! instructions release, which the check for races looks at.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::hints::Nothing;
use crate::program::Op;
use crate::simd::{Handler, Level};

const SCOPES: [&str; 4] = ["cta", "cluster", "gpu", "sys"];

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.flag("proxy") {
        return proxy(d, form, instruction);
    }
    if form.flag("mbarrier_init") {
        for part in ["release", "cluster"] {
            if !form.flag(part) {
                return Err(form.unsupported("only `.mbarrier_init.release.cluster` is known"));
            }
        }
        return nothing(d, &form, instruction);
    }
    if let Some(memory) = form.choice(&[
        "sync_restrict::shared::cta",
        "sync_restrict::shared::cluster",
    ]) {
        let direction = match memory {
            "sync_restrict::shared::cta" => "release",
            _ => "acquire",
        };
        if !form.flag(direction) || !form.flag("cluster") {
            return Err(form.unsupported("such a fence has `.cluster`, and one direction"));
        }
        return nothing(d, &form, instruction);
    }
    let (releases, scope) = if form.name == "membar" {
        (true, form.choice(&["cta", "gl", "sys"]))
    } else {
        let meaning = form.choice(&["sc", "acq_rel", "acquire", "release"]);
        (meaning != Some("acquire"), form.choice(&SCOPES))
    };
    let scope = scope.ok_or_else(|| form.unsupported("it names no scope"))?;
    form.done()?;
    let [] = form.operands(instruction)?;
    let op = match scope {
        _ if !releases => d.op::<Nothing>(),
        "cta" => d.op::<Fence<BLOCK>>(),
        "cluster" => d.op::<Fence<CLUSTER>>(),
        _ => d.op::<Fence<DEVICE>>(),
    };
    d.push(op);
    Ok(())
}

fn nothing<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.done()?;
    let [] = form.operands(instruction)?;
    let op = d.op::<Nothing>();
    d.push(op);
    Ok(())
}

fn proxy<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let kinds: &[&'static str] = match form.name {
        "membar" => &["alias", "async"],
        _ => &["alias", "async", "async::generic", "tensormap::generic"],
    };
    let kind = form
        .choice(kinds)
        .ok_or_else(|| form.unsupported("the proxy that it names"))?;
    match kind {
        "async" => {
            let space = form.choice(&["global", "shared::cta", "shared::cluster"]);
            if space != Some("global") {
                form.done()?;
                let [] = form.operands(instruction)?;
                let op = d.op::<Proxy>();
                d.push(op);
                return Ok(());
            }
        }
        "async::generic" => {
            let restrict = form.choice(&[
                "sync_restrict::shared::cta",
                "sync_restrict::shared::cluster",
            ]);
            let direction = form.choice(&["acquire", "release"]);
            if restrict.is_none() || direction.is_none() || !form.flag("cluster") {
                return Err(form.unsupported("it lacks a direction, a restriction or `.cluster`"));
            }
        }
        "tensormap::generic" => {
            let direction = form.choice(&["acquire", "release"]);
            if direction.is_none() || form.choice(&SCOPES).is_none() {
                return Err(form.unsupported("it lacks a direction or a scope"));
            }
            if direction == Some("acquire") {
                form.done()?;
                let [at, size] = form.operands(instruction)?;
                d.address(&form, at)?;
                d.src(&form, size, Type::B32)?;
                let op = d.op::<Nothing>();
                d.push(op);
                return Ok(());
            }
        }
        _ => {}
    }
    nothing(d, &form, instruction)
}

const BLOCK: u8 = 0;
const CLUSTER: u8 = 1;
const DEVICE: u8 = 2;

/// A fence that may release what went before.
struct Fence<const SCOPE: u8>;

impl<const SCOPE: u8> Handler for Fence<SCOPE> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, _: &Op) -> Flow {
        let (warp, clustered) = (cx.warp.index, cx.grid.clustered);
        let block = cx.block();
        block.fences |= 1 << warp;
        block.fenced |= SCOPE == DEVICE || SCOPE == CLUSTER && clustered;
        Flow::Next
    }
}

/// `fence.proxy.async`, of shared memory.
struct Proxy;

impl Handler for Proxy {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, _: &Op) -> Flow {
        if cx.grid.checks.races {
            let warp = cx.warp.index;
            let block = cx.block();
            block.shadow.proxy_fence(warp, &block.order);
        }
        Flow::Next
    }
}
