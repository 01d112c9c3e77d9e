//! The loop that runs a warp.

use crate::device::Schedule;
use crate::exec::fragment::same_frame;
use crate::exec::warp::{Fragment, Outcome, State};
use crate::exec::{Cx, Entry, Flow};

/// Runs the warp of `cx` until all its lanes wait or have exited, or about `left` instructions,
/// which it counts down.
pub(crate) fn run(cx: &mut Cx<'_>, left: &mut i64) -> Outcome {
    let grid = cx.grid;
    loop {
        cx.warp.wake(&cx.blocks[cx.rank]);
        let Some(picked) = cx.warp.pick(grid.schedule, &mut cx.worker.random) else {
            return if cx.warp.live == 0 {
                Outcome::Done
            } else {
                Outcome::Blocked
            };
        };
        cx.active = picked.mask;
        cx.pc = picked.pc;
        cx.warp.frame = picked.frame;
        cx.entry = match picked.state {
            State::Again(entry) => entry,
            _ => Entry::Fresh,
        };
        loop {
            let (flow, at) = if grid.checks.counters {
                straight::<true>(cx, left)
            } else {
                straight::<false>(cx, left)
            };
            match flow {
                Flow::Next | Flow::Jump => {
                    if *left <= 0 {
                        pause(cx);
                        return Outcome::Paused;
                    }
                    if meets(cx) {
                        let frame = cx.warp.frame.take();
                        cx.warp.push(cx.pc, cx.active, frame, State::Ready);
                        break;
                    }
                }
                Flow::Switch => {
                    if *left <= 0 {
                        return Outcome::Paused;
                    }
                    break;
                }
                Flow::Yield => {
                    pause(cx);
                    return Outcome::Paused;
                }
                Flow::Collect => {
                    let frame = cx.warp.frame.take();
                    let rest = cx.active & !cx.mask;
                    cx.warp.push(at + 1, rest, frame.clone(), State::Ready);
                    cx.warp.push(at, cx.mask, frame, State::Collect);
                    break;
                }
                Flow::Wait => {
                    let frame = cx.warp.frame.take();
                    let rest = cx.active & !cx.mask;
                    let wait = cx.wait;
                    cx.warp.push(at + 1, rest, frame.clone(), State::Ready);
                    cx.warp.push(cx.pc, cx.mask, frame, wait);
                    break;
                }
                Flow::Stop => return Outcome::Stopped,
            }
        }
        if *left <= 0 {
            return Outcome::Paused;
        }
    }
}

/// Runs instructions one after the other until one stops this, `left` is used up, or other
/// fragments of the warp may have to run. What the last of them said, and its place.
#[inline(always)]
fn straight<const COUNT: bool>(cx: &mut Cx<'_>, left: &mut i64) -> (Flow, u32) {
    let ops = cx.grid.program.ops.as_slice();
    let alone = cx.warp.fragments.is_empty();
    let mut rest = *left;
    let mut next = cx.pc;
    // only the first instruction can be one that runs again
    let mut again = COUNT && cx.entry == Entry::Resumed;
    loop {
        let at = next;
        let op = &ops[at as usize];
        next = at + 1;
        cx.pc = next;
        cx.mask =
            cx.active & (cx.warp.regs.preds[op.guard as usize] ^ u32::from(op.flip).wrapping_neg());
        rest -= 1;
        let flow = if cx.mask != 0 || op.always {
            op.run.call(cx, op)
        } else {
            Flow::Next
        };
        if COUNT && !again && flow != Flow::Collect {
            let tally = &mut cx.worker.tallies[at as usize];
            tally.warps += 1;
            tally.lanes += u64::from(cx.mask.count_ones());
        }
        cx.entry = Entry::Fresh;
        again = false;
        // A handler that leaves a fragment behind at its own place may say `Next`: only a jump
        // leads back there.
        match flow {
            // `next` is not read back from `cx`, for that would make each instruction wait for the
            // one before.
            Flow::Next if alone && rest > 0 => {}
            Flow::Jump if alone && rest > 0 && cx.warp.fragments.is_empty() => next = cx.pc,
            _ => {
                *left = rest;
                return (flow, at);
            }
        }
    }
}

/// Puts the running fragment behind all others.
fn pause(cx: &mut Cx<'_>) {
    let warp = &mut *cx.warp;
    warp.paused += 1;
    warp.fragments.push(Fragment {
        pc: cx.pc,
        mask: cx.active,
        frame: warp.frame.take(),
        state: State::Ready,
        served: warp.paused,
    });
}

/// Whether the running fragment has come to where another waits for it, or has passed one that is
/// to run first.
fn meets(cx: &Cx<'_>) -> bool {
    let forward = cx.grid.schedule == Schedule::Forward && cx.warp.paused == 0;
    cx.warp.fragments.iter().any(|f| {
        let there = match f.state {
            State::Ready if forward => cx.pc >= f.pc,
            State::Ready | State::Collect => cx.pc == f.pc,
            _ => false,
        };
        there && same_frame(f.frame.as_ref(), cx.warp.frame.as_ref())
    })
}
