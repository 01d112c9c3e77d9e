//! What the plan builder refuses, by kind and text.

use pvt_cuda::Error;
use pvt_cuda::plan::{Builder, Target, View};
use pvt_cuda::shape::ShapeError;

fn refused<T: std::fmt::Debug>(result: pvt_cuda::Result<T>, words: &[&str]) -> ShapeError {
    let Error::Shape(error) = result.unwrap_err() else {
        panic!("another error");
    };
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    error
}

#[test]
fn a_step_may_not_use_one_buffer_for_two_operands() {
    let mut b = Builder::new();
    let x = b.input(64);
    b.residual("twice the input", (x, x), 64).unwrap();
    let y = b.linear("a", x, (8, 8, 8), true, Target::New).unwrap();
    let error = refused(b.residual("sum", (y, y), 64), &["sum", "two operands"]);
    assert!(matches!(error, ShapeError::Aliased { .. }));
    let error = refused(b.linear("b", y, (8, 8, 8), true, Target::AddTo(y)), &["b"]);
    assert!(matches!(error, ShapeError::Aliased { .. }));
}

#[test]
fn one_name_stands_for_one_parameter() {
    let mut b = Builder::new();
    let x = b.input(64);
    b.linear("fc", x, (8, 8, 8), true, Target::New).unwrap();
    b.linear("fc", x, (8, 8, 8), true, Target::New).unwrap();
    let words = ["fc.weight", "[4, 8]", "[8, 8]"];
    let error = refused(b.linear("fc", x, (8, 8, 4), true, Target::New), &words);
    assert!(matches!(error, ShapeError::Param { .. }));
    assert_eq!(b.finish().unwrap().params().len(), 2);
}

#[test]
fn an_output_lies_within_its_buffer() {
    let mut b = Builder::new();
    let x = b.input(64);
    let y = b.layernorm("norm", x, (8, 8, 8), 1e-6).unwrap();
    b.output("all", View::contiguous(y, &[8, 8])).unwrap();
    let error = refused(
        b.output("more", View::contiguous(y, &[8, 9])),
        &["more", "64", "72"],
    );
    assert!(matches!(
        error,
        ShapeError::Buffer {
            found: 64,
            expected: 72,
            ..
        }
    ));
    let far = View {
        offset: 60,
        shape: vec![2],
        strides: vec![4],
        ..View::contiguous(y, &[1])
    };
    refused(b.output("far", far), &["far", "64", "65"]);
}

#[test]
fn sizes_beyond_the_address_space_are_refused() {
    let mut b = Builder::new();
    let x = b.input(1 << 62);
    let huge = (1, 1 << 31, 1 << 31);
    let error = refused(
        b.linear("fc", x, huge, true, Target::New),
        &["parameter", "2147483648"],
    );
    assert!(matches!(error, ShapeError::Overflow { .. }));
}
