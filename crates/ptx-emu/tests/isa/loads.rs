//! Loads past the usual way: `ld.global.nc`, parameters as other types, and `cp.async`.

use ptx_emu::Launch;

use crate::case::{Case, check, module, program};
use crate::memory::bytes;

const THREADS: u32 = 64;

/// Each thread copies `size` bytes by one read-only load.
fn read_only(ty: &str, size: usize, count: usize) -> Case {
    let register = match ty {
        "u8" => "b16",
        "f32" => "f32",
        _ => "b32",
    };
    let names: Vec<_> = (0..count).map(|i| format!("%v{i}")).collect();
    let (vector, operand) = if count == 1 {
        (String::new(), names[0].clone())
    } else {
        (format!(".v{count}"), format!("{{{}}}", names.join(", ")))
    };
    let body = format!(
        ".reg .{register} %v<4>;\n.reg .b32 %r0;\n.reg .b64 %x<3>;\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %x0, %r0, {size};\nld.param.u64 %x1, [p1];\nadd.u64 %x1, %x1, %x0;\n\
         ld.param.u64 %x2, [p0];\nadd.u64 %x2, %x2, %x0;\n\
         ld.global.nc{vector}.{ty} {operand}, [%x1];\nst.global{vector}.{ty} [%x2], {operand};"
    );
    let all = bytes(size * THREADS as usize, 3);
    program(
        &format!("ld.global.nc{vector}.{ty}"),
        module("sm_80", 2, &body),
        Launch::linear(1, THREADS),
        vec![all.clone()],
        all,
    )
}

/// Half of an address as a number in single precision has the same bits: 7 is added to the difference.
fn parameter() -> Case {
    let body = ".reg .f32 %f0;\n.reg .b32 %r<4>;\n.reg .b64 %x<3>;\n\
                ld.param.u64 %x0, [p0];\nld.param.f32 %f0, [p0];\nmov.b32 %r0, %f0;\n\
                cvt.u32.u64 %r1, %x0;\nsub.u32 %r2, %r0, %r1;\nadd.u32 %r2, %r2, 7;\n\
                mov.u32 %r3, %tid.x;\nmad.wide.u32 %x1, %r3, 4, %x0;\nst.global.u32 [%x1], %r2;";
    let expected = (0..THREADS).flat_map(|_| 7_u32.to_le_bytes()).collect();
    let ptx = module("sm_80", 1, body);
    program(
        "ld.param.f32",
        ptx,
        Launch::linear(1, THREADS),
        vec![],
        expected,
    )
}

/// Two groups of copies into shared memory, of 16 bytes and of fewer with zeros behind; each thread reads what its
/// neighbour copied, the first group while the second may be on its way.
fn asynchronous() -> Case {
    let body = ".shared .align 16 .b8 s[2048];\n.reg .b32 %v<4>, %r<8>;\n.reg .b64 %x<5>;\n\
         mov.u32 %r0, %tid.x;\nmul.wide.u32 %x0, %r0, 16;\nld.param.u64 %x1, [p1];\n\
         add.u64 %x1, %x1, %x0;\nmov.u32 %r1, s;\nmad.lo.u32 %r2, %r0, 16, %r1;\n\
         rem.u32 %r3, %r0, 17;\n\
         cp.async.cg.shared.global [%r2], [%x1], 16;\ncp.async.commit_group;\n\
         cp.async.cg.shared.global [%r2+1024], [%x1+1024], 16, %r3;\ncp.async.commit_group;\n\
         add.u32 %r4, %r0, 1;\nand.b32 %r4, %r4, 63;\nmad.lo.u32 %r5, %r4, 16, %r1;\n\
         ld.param.u64 %x2, [p0];\nadd.u64 %x2, %x2, %x0;\n\
         cp.async.wait_group 1;\nbar.sync 0;\n\
         ld.shared.v4.u32 {%v0, %v1, %v2, %v3}, [%r5];\n\
         st.global.v4.u32 [%x2], {%v0, %v1, %v2, %v3};\n\
         cp.async.wait_group 0;\nbar.sync 0;\n\
         ld.shared.v4.u32 {%v0, %v1, %v2, %v3}, [%r5+1024];\n\
         st.global.v4.u32 [%x2+1024], {%v0, %v1, %v2, %v3};";
    let threads = THREADS as usize;
    let all = bytes(2 * 16 * threads, 9);
    let mut expected = vec![0; all.len()];
    for thread in 0..threads {
        let from = (thread + 1) % threads;
        expected[16 * thread..][..16].copy_from_slice(&all[16 * from..][..16]);
        let (to, second) = (16 * (threads + thread), 16 * (threads + from));
        let whole = from % 17;
        expected[to..][..whole].copy_from_slice(&all[second..][..whole]);
    }
    program(
        "cp.async",
        module("sm_80", 2, body),
        Launch::linear(1, THREADS),
        vec![all],
        expected,
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let forms = [("u8", 1, 1), ("f32", 4, 1), ("f32", 16, 4), ("u32", 16, 4)];
    let read_only = forms.map(|(ty, size, count)| read_only(ty, size, count));
    read_only
        .into_iter()
        .chain([parameter(), asynchronous()])
        .collect()
}

#[test]
fn every_byte_arrives() {
    check(&cases());
}
