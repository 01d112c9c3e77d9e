//! Every program of these tests on a real GPU.

use crate::case::Case;
use crate::driver::{Gpu, Value};

/// All programs.
pub(crate) fn all() -> Vec<Case> {
    let families = [
        crate::atomic::cases,
        crate::barrier::cases,
        crate::bulk::cases,
        crate::calls::cases,
        crate::carry::cases,
        crate::cluster::cases,
        crate::compare::cases,
        crate::control::cases,
        crate::convert::cases,
        crate::convert::packed::cases,
        crate::double::cases,
        crate::fence::cases,
        crate::fields::cases,
        crate::fragments::cases,
        crate::half::cases,
        crate::hints::cases,
        crate::integer::cases,
        crate::loads::cases,
        crate::logic::cases,
        crate::mbarrier::cases,
        crate::memory::cases,
        crate::moves::cases,
        crate::select::cases,
        crate::single::cases,
        crate::special::cases,
        crate::variables::cases,
        crate::warp::cases,
        crate::wgmma::cases,
    ];
    families.iter().flat_map(|cases| cases()).collect()
}

/// The compute capability that a module is compiled for, and whether it runs on no other
/// (`sm_90a`).
fn target(ptx: &str) -> (i32, bool) {
    let name = ptx.split(".target sm_").nth(1).unwrap_or("80");
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().unwrap_or(80);
    (number, name[digits.len()..].starts_with('a'))
}

#[test]
fn a_gpu_does_the_same() {
    let gpu = match Gpu::open() {
        Ok(gpu) => gpu,
        Err(reason) => {
            println!("nothing compared: {reason}");
            return;
        }
    };
    let has = gpu.capability.0 * 10 + gpu.capability.1;
    let (mut compared, mut left_out, mut wrong) = (0, 0, Vec::new());
    for case in all() {
        let (needs, only) = target(&case.ptx);
        if has < needs || only && has != needs {
            left_out += 1;
            continue;
        }
        let mut output = vec![0; case.output];
        let mut inputs = case.inputs.clone();
        let mut arguments = vec![Value::Buffer(&mut output)];
        arguments.extend(inputs.iter_mut().map(Value::Buffer));
        let result = gpu.run(&case.ptx, "t", &case.launch, &mut arguments);
        let result = result.and_then(|()| (case.check)(&output));
        compared += 1;
        if let Err(problem) = result {
            wrong.push(format!("{}: {problem}", case.name));
        }
    }
    println!(
        "{}: {compared} programs compared, {left_out} for other GPUs",
        gpu.name
    );
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
