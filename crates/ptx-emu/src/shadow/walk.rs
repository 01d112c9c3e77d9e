//! The loops over the cells of a request.
//!
//! Runs are taken 8 cells at a time, then 4, then singly, with the values copied into arrays: in that form the
//! loops become vector instructions whatever the length of the run (a plain loop over a run of 32 does not, as
//! the compiler prepares for long ones).

use crate::access::Cells;

/// The parts of `N` values of a slice that belongs to a request.
macro_rules! pieces {
    ($cells:expr, |$from:ident, $at:ident, $count:ident| $eight:block $four:block $one:block) => {
        let lowest = $cells.spans.first().map_or(0, |span| span.word);
        for span in &$cells.spans {
            let mut $from = (span.word - lowest).cast_unsigned() as usize;
            let mut $at = span.at as usize;
            let mut $count = span.words as usize;
            while $count >= 8 {
                $eight
                $from += 8;
                $at += 8;
                $count -= 8;
            }
            if $count >= 4 {
                $four
                $from += 4;
                $at += 4;
                $count -= 4;
            }
            while $count > 0 {
                $one
                $from += 1;
                $at += 1;
                $count -= 1;
            }
        }
    };
}

/// The `N` values from `at`.
#[inline(always)]
fn take<const N: usize>(values: &[u32], at: usize) -> [u32; N] {
    values
        .get(at..)
        .and_then(|values| values.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// Whether `f` holds for any of `N` cells.
#[inline(always)]
fn test<const N: usize>(
    tags: [u32; N],
    values: [u32; N],
    names: [u32; N],
    f: &impl Fn(u32, u32, u32) -> bool,
) -> bool {
    let mut hit = false;
    for i in 0..N {
        hit |= f(tags[i], values[i], names[i]);
    }
    hit
}

/// Whether `f(tag, value, name)` holds for any cell. The slices begin at the lowest cell.
#[inline(always)]
pub(super) fn any(
    cells: &Cells,
    values: &[u32],
    names: &[u32],
    f: impl Fn(u32, u32, u32) -> bool,
) -> bool {
    let mut hit = false;
    if cells.scattered {
        for (&place, &tag) in cells.places.iter().zip(&cells.tags) {
            let place = place as usize;
            hit |= f(tag, values[place], names[place]);
        }
    } else {
        let tags = &cells.tags;
        pieces!(cells, |from, at, count|
            { hit |= test::<8>(take(tags, at), take(values, from), take(names, from), &f); }
            { hit |= test::<4>(take(tags, at), take(values, from), take(names, from), &f); }
            { hit |= test::<1>(take(tags, at), take(values, from), take(names, from), &f); }
        );
    }
    hit
}

/// Replaces each cell's value by `f(tag, value)`. The slice begins at the lowest cell.
#[inline(always)]
pub(super) fn update(cells: &Cells, values: &mut [u32], f: impl Fn(u32, u32) -> u32) {
    if cells.scattered {
        for (&place, &tag) in cells.places.iter().zip(&cells.tags) {
            let value = &mut values[place as usize];
            *value = f(tag, *value);
        }
    } else {
        let tags = &cells.tags;
        pieces!(cells, |from, at, count|
            { replace::<8>(values, from, take(tags, at), &f); }
            { replace::<4>(values, from, take(tags, at), &f); }
            { replace::<1>(values, from, take(tags, at), &f); }
        );
    }
}

#[inline(always)]
fn replace<const N: usize>(
    values: &mut [u32],
    from: usize,
    tags: [u32; N],
    f: &impl Fn(u32, u32) -> u32,
) {
    let Some(values) = values
        .get_mut(from..)
        .and_then(|values| values.first_chunk_mut::<N>())
    else {
        return;
    };
    let old = *values;
    let mut new = [0; N];
    for i in 0..N {
        new[i] = f(tags[i], old[i]);
    }
    *values = new;
}
