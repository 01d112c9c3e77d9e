//! What the kernels are built from: which module in which types, and the sizes that kernels and launches
//! share. `build.rs` compiles this file too, and passes each size to the kernels by its name.

/// Modules, each a file of `kernels/`, and the types of its tensors.
pub const MODULES: &[(&str, &[&str])] = &[
    ("layernorm", &["f32", "f16", "bf16"]),
    ("linear", &["f32", "tf32", "f16", "bf16"]),
    ("pos_embed", &["f32", "f16", "bf16"]),
    ("residual", &["f32", "f16", "bf16"]),
    ("head", &["f32", "f16", "bf16"]),
    ("preprocess", &["f32"]),
    ("fill", &["f32"]),
    ("attention", &["f32", "tf32", "f16", "bf16"]),
    ("attention_bwd", &["f32", "tf32", "f16", "bf16"]),
    ("mlp", &["f32", "tf32", "f16", "bf16"]),
    ("patch_conv", &["f32", "tf32", "f16", "bf16"]),
];

/// Sizes by the name of their macro.
pub const DEFINES: &[(&str, u32)] = &[
    ("LN_ROWS", LN_ROWS),
    ("POS_THREADS", POS_THREADS),
    ("RES_THREADS", RES_THREADS),
    ("HEAD_WARPS", HEAD_WARPS),
    ("HEAD_CLASSES", HEAD_CLASSES),
    ("HEAD_IMAGES", HEAD_IMAGES),
    ("PRE_THREADS", PRE_THREADS),
    ("FILL_THREADS", FILL_THREADS),
    ("ATT_KEYS", ATT_KEYS),
    ("ATT_WARPS", ATT_WARPS),
    ("MLP_ROWS", MLP_ROWS),
    ("MLP_CHANNELS", MLP_CHANNELS),
];

/// Warps of a block of `layernorm`, and the fewest rows that it takes.
pub const LN_ROWS: u32 = 4;

/// Threads of a block of `pos_embed`, one 16-byte vector each.
pub const POS_THREADS: u32 = 256;

/// Threads of a block of `residual`, one 16-byte vector each.
pub const RES_THREADS: u32 = 256;

/// Warps of a block of `head`.
pub const HEAD_WARPS: u32 = 4;

/// Classes of a block of `head`: a batch of one then has work for 125 blocks at 1000 classes.
pub const HEAD_CLASSES: u32 = 8;

/// Most images of a block of `head`, which share one reading of the weights.
pub const HEAD_IMAGES: u32 = 8;

/// Threads of a block of `preprocess`, four pixels each.
pub const PRE_THREADS: u32 = 256;

/// Threads of a block of `fill`, one element each.
pub const FILL_THREADS: u32 = 256;

/// Keys of a tile of `attention`: up to as many take its kernels in one pass.
pub const ATT_KEYS: u32 = 64;

/// Most warps of a block of `attention`, 16 queries each.
pub const ATT_WARPS: u32 = 4;
/// Rows of a block of `mlp`, and its threads: 32 rows a warp.
pub const MLP_ROWS: u32 = 128;

/// Most channels that `mlp` takes.
pub const MLP_CHANNELS: u32 = 64;
