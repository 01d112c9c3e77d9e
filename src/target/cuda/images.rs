//! Which image of a module suits a device, and what its text says of its kernels.

use super::error::Refused;
use crate::kernels::Cubin;
use crate::launch::Arg;
use crate::target::device::Bound;

/// Machine code of this capability is for devices of exactly this one: its image is that of 9.0a,
/// which has instructions that no other has.
const EXACT: u32 = 90;

fn words(capability: u32) -> String {
    format!("{}.{}", capability / 10, capability % 10)
}

/// Name of an image in messages.
pub(super) fn name(cubin: &Cubin) -> String {
    format!("machine code for {}", words(cubin.capability))
}

/// Why machine code does not run on a device, or nothing.
fn unfit(image: u32, device: u32) -> Option<String> {
    if image == EXACT && device != EXACT {
        Some("runs on capability 9.0 only".to_owned())
    } else if image / 10 != device / 10 {
        let major = image / 10;
        Some(format!("runs on capability {major}.x only"))
    } else if image > device {
        Some(format!("needs capability {} or more", words(image)))
    } else {
        None
    }
}

/// Machine code that runs on a device, the best first; and what does not.
pub(super) fn choose(cubins: &[Cubin], device: u32) -> (Vec<&Cubin>, Vec<Refused>) {
    let (mut fit, mut refused) = (Vec::new(), Vec::new());
    for cubin in cubins {
        match unfit(cubin.capability, device) {
            None => fit.push(cubin),
            Some(why) => refused.push(Refused {
                image: name(cubin),
                why,
            }),
        }
    }
    fit.sort_by_key(|cubin| std::cmp::Reverse(cubin.capability));
    (fit, refused)
}

/// The version of a PTX text, such as `8.8`.
pub(super) fn ptx_version(ptx: &str) -> &str {
    let rest = ptx.split_once(".version").map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or("?")
}

/// Bytes of each parameter of a kernel, from its declaration in a PTX text; nothing where there is no
/// such kernel.
pub(super) fn parameters(ptx: &str, entry: &str) -> Option<Vec<u32>> {
    let declared = ptx.split(".entry ").skip(1).find_map(|text| {
        let (name, rest) = text.split_once('(')?;
        (name.trim() == entry).then_some(rest)
    })?;
    let (list, _) = declared.split_once(')')?;
    let parameters = list.split(',').filter(|one| !one.trim().is_empty());
    parameters.map(parameter).collect()
}

/// Bytes of a parameter, such as `.param .u64 .ptr .align 1 name` or `.param .align 8 .b8 name[24]`.
fn parameter(text: &str) -> Option<u32> {
    let one = text.split_whitespace().find_map(|word| match word {
        ".u64" | ".s64" | ".b64" | ".f64" => Some(8),
        ".u32" | ".s32" | ".b32" | ".f32" => Some(4),
        ".u16" | ".s16" | ".b16" | ".f16" => Some(2),
        ".u8" | ".s8" | ".b8" => Some(1),
        _ => None,
    })?;
    match text.split_once('[') {
        None => Some(one),
        Some((_, rest)) => {
            let count: u32 = rest.split(']').next()?.trim().parse().ok()?;
            one.checked_mul(count)
        }
    }
}

/// Bytes of an argument.
pub(super) fn argument_bytes(arg: &Arg) -> u32 {
    match arg {
        Arg::Buffer(..) | Arg::Null | Arg::U64(_) => 8,
        Arg::U32(_) | Arg::F32(_) => 4,
    }
}

/// As [`argument_bytes`].
pub(super) fn bound_bytes(bound: &Bound) -> u32 {
    match bound {
        Bound::Buffer { .. } | Bound::Null | Bound::U64(_) => 8,
        Bound::U32(_) | Bound::F32(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: [u32; 6] = [80, 86, 89, 90, 100, 120];

    fn chosen(device: u32) -> Vec<u32> {
        let one = |capability| Cubin {
            capability,
            report: "",
            image: &[],
        };
        let cubins = BUILT.map(one);
        let (fit, refused) = choose(&cubins, device);
        assert_eq!(fit.len() + refused.len(), cubins.len());
        fit.iter().map(|cubin| cubin.capability).collect()
    }

    #[test]
    fn the_highest_minor_number_of_the_same_major_one_comes_first() {
        assert_eq!(chosen(80), [80]);
        assert_eq!(chosen(87), [86, 80]);
        assert_eq!(chosen(89), [89, 86, 80]);
        assert_eq!(chosen(90), [90]);
        assert_eq!(chosen(91), [0; 0]);
        assert_eq!(chosen(103), [100]);
        assert_eq!(chosen(110), [0; 0]);
        assert_eq!(chosen(121), [120]);
        assert_eq!(chosen(75), [0; 0]);
    }

    #[test]
    fn parameters_are_read_from_the_text() {
        let text = ".version 8.8\n.target sm_80\n.visible .entry other(\n\t.param .u32 a\n)\n{ }\n\
            .visible .entry one(\n\t.param .u64 .ptr .align 1 p_0,\n\t.param .f32 p_1,\n\
            \t.param .align 8 .b8 p_2[24]\n)\n.maxntid 128, 1, 1\n{ }\n.visible .entry none()\n{ }";
        assert_eq!(parameters(text, "one"), Some(vec![8, 4, 24]));
        assert_eq!(parameters(text, "other"), Some(vec![4]));
        assert_eq!(parameters(text, "none"), Some(vec![]));
        assert_eq!(parameters(text, "on"), None);
        assert_eq!(ptx_version(text), "8.8");
    }
}
