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
    ("layernorm_bwd", &["f32", "f16", "bf16"]),
    ("pos_embed_bwd", &["f32", "f16", "bf16"]),
    ("cross_entropy", &["f32"]),
    ("head_bwd", &["f32", "f16", "bf16"]),
    ("grad_norm", &["f32"]),
    ("adamw", &["f32", "tf32", "f16", "bf16"]),
    ("linear_bwd", &["f32", "tf32", "f16", "bf16"]),
    ("patch_conv_bwd", &["f32", "tf32", "f16", "bf16"]),
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
    ("SUM_GROUP", SUM_GROUP),
    ("LNB_WARPS", LNB_WARPS),
    ("LNB_BLOCKS", LNB_BLOCKS),
    ("POSB_WARPS", POSB_WARPS),
    ("CE_THREADS", CE_THREADS),
    ("HEADB_SLICE", HEADB_SLICE),
    ("HEADB_IMAGES", HEADB_IMAGES),
    ("HEADB_WARPS", HEADB_WARPS),
    ("HEADB_THREADS", HEADB_THREADS),
    ("HEADB_TILE", HEADB_TILE),
    ("NORM_THREADS", NORM_THREADS),
    ("NORM_CHUNK", NORM_CHUNK),
    ("ADAMW_THREADS", ADAMW_THREADS),
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

/// Blocks whose rows of sums one block adds, before one adds the sums of these: two chains of about as many.
pub const SUM_GROUP: u32 = 16;

/// Warps of a block of `layernorm_bwd`.
pub const LNB_WARPS: u32 = 8;

/// Most blocks of `layernorm_bwd`, each of which leaves a row of sums: two for each multiprocessor.
pub const LNB_BLOCKS: u32 = 264;

/// Warps of a block of `pos_embed_bwd`, which split outputs and images.
pub const POSB_WARPS: u32 = 8;

/// Threads of a block of `cross_entropy`, which has one image.
pub const CE_THREADS: u32 = 128;

/// Classes whose part of the gradient of a normalised row one block of `head_bwd_dn` adds.
pub const HEADB_SLICE: u32 = 64;

/// Images of a block of `head_bwd_dn`, which share one reading of the weights.
pub const HEADB_IMAGES: u32 = 8;

/// Warps of a block of `head_bwd_dn`, which split the classes of a slice.
pub const HEADB_WARPS: u32 = 4;

/// Threads of a block of `head_bwd_norm`, which has one image.
pub const HEADB_THREADS: u32 = 256;

/// Classes of a block of `head_bwd_sums`, four a warp.
pub const HEADB_TILE: u32 = 32;

/// Threads of a block of `grad_norm`.
pub const NORM_THREADS: u32 = 256;

/// Elements of the gradient whose squares a block of `grad_norm` adds.
pub const NORM_CHUNK: u32 = 32 * 1024;

/// Threads of a block of `adamw`, 16 parameters each.
pub const ADAMW_THREADS: u32 = 256;
