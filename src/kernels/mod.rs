//! The GPU kernels of this build: compiled by `build.rs` from `kernels/*.cu`, embedded as PTX for every
//! device from compute capability 8.0 on and as machine code for the usual ones.

#[rustfmt::skip]
mod table {
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}
pub mod adamw;
pub mod attention;
pub mod attention_bwd;
pub mod head_bwd;
pub mod layernorm;
pub mod layernorm_bwd;
pub mod pack;
pub mod parts;
pub mod patch_conv_bwd;
pub mod sum_rows;
pub mod tiles;
pub mod tuning;
pub mod weight_grad;

/// One file of `kernels/` for one type of tensors.
#[derive(Debug)]
#[non_exhaustive]
pub struct Module {
    /// Name of the file.
    pub name: &'static str,
    /// Type of its tensors, as in the names of its entries.
    pub dtype: &'static str,
    /// Names of its kernels.
    pub entries: &'static [&'static str],
    /// PTX for compute capability 8.0 and later.
    pub ptx: &'static str,
    /// Machine code, by ascending capability.
    pub cubins: &'static [Cubin],
    /// Hash of source, headers, options and compiler.
    pub hash: &'static str,
}

/// Machine code for one compute capability.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cubin {
    /// Ten times the major plus the minor number: 89 is 8.9.
    pub capability: u32,
    /// What the assembler says of registers, shared memory and spills.
    pub report: &'static str,
    /// The image that a driver loads.
    pub image: &'static [u8],
}

/// No GPU kernels are in this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this build has no GPU kernels ({reason}); install a CUDA toolkit 12 or 13 or the Python wheel \
     nvidia-cuda-nvrtc-cu12, or set PVT_NVRTC, and build again with PVT_CUDA_BUILD=require"
)]
pub struct KernelsNotBuilt {
    /// Why.
    pub reason: &'static str,
}

/// All modules of this build.
///
/// # Errors
/// [`KernelsNotBuilt`] where NVRTC was not there when the crate was built, or was not wanted.
pub fn modules() -> Result<&'static [Module], KernelsNotBuilt> {
    if table::MODULES.is_empty() {
        return Err(KernelsNotBuilt {
            reason: table::BUILT_BY,
        });
    }
    Ok(&table::MODULES)
}

/// The module of this name for this type of tensors.
///
/// # Errors
/// [`KernelsNotBuilt`] as for [`modules`].
pub fn module(name: &str, dtype: &str) -> Result<Option<&'static Module>, KernelsNotBuilt> {
    let mut all = modules()?.iter();
    Ok(all.find(|m| m.name == name && m.dtype == dtype))
}

/// The compiler that made the kernels, or why there are none.
pub fn built_by() -> &'static str {
    table::BUILT_BY
}
