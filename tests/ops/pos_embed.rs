use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance, wide};

/// Height and width.
type Grid = (usize, usize);

fn run(x: Vec<f32>, (batch, c): (usize, usize), grids: (Grid, Grid), class: bool) -> Vec<f32> {
    let mut bench = Bench::on(x);
    let name = class.then_some("class");
    let y = bench
        .builder
        .pos_embed("op", bench.x, (batch, c), grids, name);
    let rows = grids.1.0 * grids.1.1 + usize::from(class);
    bench.run(y.unwrap(), batch * rows * c)
}

fn exact(x: &[f32], c: usize, (native, grid): (Grid, Grid), class: bool) -> Vec<f64> {
    let class_len = if class { c } else { 0 };
    let table = wide("op", class_len + native.0 * native.1 * c);
    let (first, rest) = table.split_at(class_len);
    let resized = [first, &oracle::bilinear(rest, native, grid, c)].concat();
    oracle::pos_embed(&widen(x), &wide("class", class_len), &resized)
}

#[test]
fn adds_the_table_and_joins_the_class_token() {
    for (batch, grid, c) in [
        (1, (1, 1), 1),
        (2, (1, 7), 3),
        (3, (5, 3), 17),
        (1, (7, 7), 512),
        (2, (13, 11), 65),
    ] {
        for class in [false, true] {
            let x = random("x", batch * grid.0 * grid.1 * c);
            let found = run(x.clone(), (batch, c), (grid, grid), class);
            let exact = exact(&x, c, (grid, grid), class);
            let case = format!("{batch} of {grid:?}x{c}, class token {class}");
            assert_close(&found, &exact, tolerance(1), &case);
        }
    }
}

#[test]
fn resizes_the_table_to_any_grid() {
    for (native, grid) in [
        ((7, 7), (14, 14)),
        ((7, 7), (3, 4)),
        ((56, 56), (25, 32)),
        ((56, 56), (64, 80)),
        ((14, 14), (14, 9)),
        ((14, 14), (31, 14)),
        ((7, 5), (5, 7)),
        ((7, 7), (1, 1)),
        ((7, 7), (1, 13)),
        ((1, 1), (3, 5)),
        ((2, 1), (1, 2)),
        ((14, 14), (97, 3)),
    ] {
        for (c, class) in [(5, false), (16, true)] {
            let x = vec![0.0; 2 * grid.0 * grid.1 * c];
            let found = run(x.clone(), (2, c), (native, grid), class);
            let exact = exact(&x, c, (native, grid), class);
            let case = format!("{native:?} to {grid:?}, class token {class}");
            assert_close(&found, &exact, tolerance(1), &case);
        }
    }
}

#[test]
fn a_grid_of_as_many_positions_in_another_shape_is_resized() {
    let x = vec![0.0; 12 * 4];
    let as_it_is = run(x.clone(), (1, 4), ((3, 4), (3, 4)), false);
    let resized = run(x, (1, 4), ((3, 4), (4, 3)), false);
    assert!(same_bits(&as_it_is, &random("op", 48)));
    assert!(!same_bits(&as_it_is, &resized));
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    let (grid, c) = ((9, 7), 33);
    for (native, class) in [(grid, false), (grid, true), ((7, 7), true)] {
        let x = random("x", 5 * 63 * c);
        let all = run(x.clone(), (5, c), (native, grid), class);
        for (x, want) in x.chunks(63 * c).zip(all.chunks(all.len() / 5)) {
            let alone = run(x.to_vec(), (1, c), (native, grid), class);
            assert!(same_bits(&alone, want));
        }
    }
}

#[test]
fn rejects_a_short_buffer() {
    let mut bench = Bench::on(vec![0.0; 2 * 6 * 4 - 1]);
    let y = bench
        .builder
        .pos_embed("op", bench.x, (2, 4), ((3, 3), (3, 2)), Some("class"));
    assert_too_short(y, (47, 48));
}
