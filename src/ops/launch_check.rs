//! Launches against the parameter lists of the kernels' own PTX.

use crate::dtype::DType;
use crate::kernels::module;
use crate::launch::{Arg, Launch};
use crate::plan::{BufferId, Builder};

/// All types that kernels compute in.
pub(super) const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

/// Some buffers.
pub(super) fn buffers<const N: usize>() -> [BufferId; N] {
    let mut builder = Builder::new();
    std::array::from_fn(|_| builder.input(1))
}

/// Demands that a kernel takes the launch: arguments, threads, shared memory. Nothing without kernels.
pub(super) fn check(launch: &Launch) {
    let kernel = launch.kernel;
    let Ok(found) = module(kernel.module, kernel.dtype) else {
        return;
    };
    let module = found.unwrap_or_else(|| panic!("no module for {kernel}"));
    let text = module.ptx.split(&format!(".entry {kernel}(")).nth(1);
    let text = text.unwrap_or_else(|| panic!("no entry {kernel}"));
    let (params, rest) = text.split_once(')').expect("a parameter list");
    let kinds = params.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(".param")).then(|| words.next().unwrap_or_default())
    });
    let wanted = launch.args.iter().map(|arg| match arg {
        Arg::Buffer(..) | Arg::Null | Arg::U64(_) => ".u64",
        Arg::U32(_) => ".u32",
        Arg::F32(_) => ".f32",
    });
    assert!(wanted.eq(kinds), "{launch:?}: {params}");
    let bounds = rest.split(".maxntid").nth(1).expect("launch bounds");
    let bounds = bounds.lines().next().unwrap_or_default().split(',');
    let most: u32 = bounds
        .map(|n| n.trim().parse::<u32>().expect("a bound"))
        .product();
    assert!(launch.threads() <= most, "{launch:?}: at most {most}");
    assert!(launch.threads().is_multiple_of(32), "{launch:?}");
    assert!(launch.grid.iter().all(|&n| n > 0), "{launch:?}");
    assert!(launch.shared <= 99 * 1024, "{launch:?}");
}
