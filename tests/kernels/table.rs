//! What `build.rs` has made.

use std::collections::BTreeSet;

use pvt_cuda::kernels::{KernelsNotBuilt, modules, tuning};

/// The modules of this build, if there are any; a build without NVRTC has none, and says why.
pub(crate) fn built() -> &'static [pvt_cuda::kernels::Module] {
    modules().unwrap_or_else(|problem: KernelsNotBuilt| {
        panic!("{problem}; `python3 scripts/fetch-nvrtc.py` fetches what these tests need")
    })
}

#[test]
fn every_module_is_there_in_every_type() {
    let found: BTreeSet<_> = built().iter().map(|m| (m.name, m.dtype)).collect();
    let wanted = tuning::MODULES.iter();
    let wanted: BTreeSet<_> = wanted
        .flat_map(|(name, dtypes)| dtypes.iter().map(move |dtype| (*name, *dtype)))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn entries_are_named_by_their_type() {
    for module in built() {
        assert!(!module.entries.is_empty(), "{}", module.name);
        for entry in module.entries {
            let (op, dtype) = entry.rsplit_once('_').unwrap();
            assert!(
                op.starts_with(module.name) && dtype == module.dtype,
                "{entry}"
            );
        }
    }
}

#[test]
fn nothing_is_spilled() {
    for module in built() {
        assert!(!module.cubins.is_empty(), "{}", module.name);
        for cubin in module.cubins {
            let report = cubin.report;
            let place = format!("{} {} for {}", module.name, module.dtype, cubin.capability);
            assert!(report.contains("registers"), "{place}: {report}");
            let clean = report
                .matches("0 bytes spill stores, 0 bytes spill loads")
                .count();
            assert_eq!(clean, module.entries.len(), "{place}: {report}");
            assert_eq!(&cubin.image[..4], b"\x7fELF", "{place}");
        }
    }
}
