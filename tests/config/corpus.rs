//! The seeds of the fuzz target for configurations.

#[path = "../../fuzz/entries.rs"]
mod entries;

use std::path::Path;

use pvt_cuda::config::PvtConfig;

#[test]
fn seeds_of_the_fuzz_target_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/config");
    let mut accepted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        entries::config(&bytes);
        accepted += usize::from(PvtConfig::from_json(&String::from_utf8_lossy(&bytes)).is_ok());
    }
    assert!(accepted >= 2, "{accepted}: the seeds lead past every check");
}
