//! The bytes and sectors of a request, as ranges.

use super::Marks;
use crate::access::Pattern;

/// Calls `visit` with the ranges of bytes that `p` touches, until it returns something.
#[inline(always)]
pub(super) fn for_ranges<T>(
    base: u64,
    p: &Pattern,
    mut visit: impl FnMut(u64, u64) -> Option<T>,
) -> Option<T> {
    let (cells, size) = p
        .byte_cells
        .as_deref()
        .map_or((&p.cells, 4), |bytes| (bytes, 1));
    for span in &cells.spans {
        let from = (base & !3).checked_add_signed(i64::from(span.word) * size)?;
        let found = visit(from, from + u64::from(span.words) * size.cast_unsigned());
        if found.is_some() {
            return found;
        }
    }
    None
}

#[inline(always)]
pub(super) fn touch(marks: &Marks, base: u64, p: &Pattern) {
    let mut after = 0;
    for span in &p.cells.spans {
        let Some(from) = (base & !3).checked_add_signed(i64::from(span.word) * 4) else {
            return;
        };
        let to = (from + 4 * u64::from(span.words)).div_ceil(32);
        marks.add((from / 32).max(after), to);
        after = to;
    }
}

/// A lane that touches the given byte.
#[cold]
pub(super) fn lane_at(byte: u64, base: u64, p: &Pattern) -> u32 {
    let touches = |lane: &u32| {
        let start = base.wrapping_add_signed(i64::from(p.steps.rel()[*lane as usize]));
        p.mask >> lane & 1 == 1 && byte.wrapping_sub(start) < u64::from(p.bytes)
    };
    (0..32).find(touches).unwrap_or(0)
}
