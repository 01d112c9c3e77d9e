//! What the kernels are built from: which module in which types, and the sizes that kernels and launches
//! share. `build.rs` compiles this file too, and passes each size to the kernels by its name.

/// Modules, each a file of `kernels/`, and the types of its tensors.
pub const MODULES: &[(&str, &[&str])] = &[
    ("layernorm", &["f32", "f16", "bf16"]),
    ("linear", &["f32", "tf32", "f16", "bf16"]),
    ("mlp", &["f32", "tf32", "f16", "bf16"]),
    ("patch_conv", &["f32", "tf32", "f16", "bf16"]),
];

/// Sizes by the name of their macro.
pub const DEFINES: &[(&str, u32)] = &[
    ("LN_ROWS", LN_ROWS),
    ("MLP_ROWS", MLP_ROWS),
    ("MLP_CHANNELS", MLP_CHANNELS),
];

/// Rows of a block of `layernorm`: one warp each.
pub const LN_ROWS: u32 = 4;

/// Rows of a block of `mlp`, and its threads: 32 rows a warp.
pub const MLP_ROWS: u32 = 128;

/// Most channels that `mlp` takes.
pub const MLP_CHANNELS: u32 = 64;
