use crate::harness::{Bench, same_bits};

#[test]
fn holds_the_value_at_any_length() {
    for (len, value) in [(1, 0.0), (2, -0.0), (17, 1.5), (1000, f32::INFINITY)] {
        let mut bench = Bench::on(vec![0.0]);
        let y = bench.builder.filled("op", len, value).unwrap();
        assert!(same_bits(&bench.run(y, len), &vec![value; len]), "{len}");
    }
}
