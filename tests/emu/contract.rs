//! What a launch may read by the contract of its kernel: which bytes, and how often.

use pvt_cuda::kernels::tuning::{HEAD_CLASSES, HEAD_IMAGES, MLP_ROWS};
use pvt_cuda::launch::{Arg, Launch};

/// What an argument is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Rows of tokens, pixels, or a table that is added to them.
    Activation,
    /// A matrix of a product.
    Weight,
    /// gamma, beta or bias.
    Vector,
}

/// The reads of one argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    /// Which argument.
    pub(crate) argument: usize,
    pub(crate) role: Role,
    /// Bytes that are needed; `None` for all of the buffer.
    pub(crate) bytes: Option<u64>,
    /// How often each is requested.
    pub(crate) times: u64,
}

fn read(argument: usize, role: Role, times: u64) -> Read {
    Read {
        argument,
        role,
        bytes: None,
        times,
    }
}

/// Integers among the arguments, in order.
fn sizes(launch: &Launch) -> Vec<u64> {
    let size = |arg: &Arg| match arg {
        Arg::U32(value) => Some(u64::from(*value)),
        Arg::U64(value) => Some(*value),
        _ => None,
    };
    launch.args.iter().filter_map(size).collect()
}

/// Bytes of an element of a tensor.
fn element(launch: &Launch) -> u64 {
    if launch.kernel.dtype.ends_with("16") {
        2
    } else {
        4
    }
}

/// Warps of a block that have the same columns of a bias, at most.
const WARPS: u64 = 4;

/// How often a lane's channels of a vector are requested: it takes 16 bytes of the tensor and as many channels of
/// the vector in f32, which are two vectors of 16 bytes in half precision, each half of its sectors.
fn halves(launch: &Launch) -> u64 {
    size_of::<f32>() as u64 / element(launch)
}

/// Rows and columns of a tile, by the name of the entry: 64 and 128 of `linear_fwd_64x128`.
fn tile(launch: &Launch) -> [u64; 2] {
    let entry = launch.kernel.entry;
    let tile = entry.rsplit('_').next().and_then(|t| t.split_once('x'));
    let sides = tile.and_then(|(rows, cols)| Some([rows.parse().ok()?, cols.parse().ok()?]));
    sides.unwrap_or_else(|| panic!("{entry} names no tile"))
}

/// The argument that counts the blocks of a tile which have arrived, where several blocks share one.
pub(crate) fn arrivals(launch: &Launch) -> Option<usize> {
    let entry = launch.kernel.entry;
    let argument = match launch.kernel.module {
        "linear" if entry.starts_with("linear_parts") => 6,
        "patch_conv" if entry.starts_with("patch_conv_parts") => 9,
        _ => return None,
    };
    (launch.args[argument] != Arg::Null).then_some(argument)
}

/// All reads of a launch; arguments that are null are among them.
pub(crate) fn reads(launch: &Launch) -> Vec<Read> {
    use Role::{Activation, Vector, Weight};
    let size = sizes(launch);
    let halves = halves(launch);
    let [blocks_x, blocks_y, _] = launch.grid.map(u64::from);
    match launch.kernel.module {
        // x, weight, bias, residual, y, partials, arrivals, rows, inner, columns …
        "linear" if launch.kernel.entry.starts_with("linear_parts") => vec![
            read(0, Activation, blocks_y),
            read(1, Weight, blocks_x),
            read(2, Vector, WARPS * halves * blocks_x),
            read(3, Activation, 1),
            read(5, Activation, 1),
        ],
        // x, gamma, beta, normed, weight, bias, residual, y, y2, rows, inner, columns …
        "linear" => {
            let normed = launch.args[1] != Arg::Null;
            let [tile_rows, tile_cols] = tile(launch);
            let tiles = size[2].div_ceil(tile_cols);
            let norms = halves * blocks_x * tile_rows * blocks_y;
            vec![
                read(0, Activation, if normed { blocks_y } else { tiles }),
                read(1, Vector, norms),
                read(2, Vector, norms),
                read(4, Weight, blocks_x),
                read(5, Vector, WARPS * halves * blocks_x),
                read(6, Activation, 1),
            ]
        }
        // x, gamma, beta, w1, b1, w2, b2, …
        "mlp" => {
            let norms = halves * blocks_x * u64::from(MLP_ROWS);
            vec![
                read(0, Activation, 1),
                read(1, Vector, norms),
                read(2, Vector, norms),
                read(3, Weight, blocks_x),
                read(4, Vector, WARPS * halves * blocks_x),
                read(5, Weight, blocks_x),
                read(6, Vector, WARPS * halves * blocks_x),
            ]
        }
        // x, weight, bias, gamma, beta, table, class token, y, [partials, arrivals,] batch, …
        "patch_conv" => {
            let norms = halves * blocks_x * tile(launch)[0];
            let partials = launch.kernel.entry.starts_with("patch_conv_parts");
            let partials = partials.then(|| read(8, Activation, 1));
            let mut all = vec![
                read(0, Activation, blocks_y),
                read(1, Weight, blocks_x),
                read(2, Vector, WARPS * halves * blocks_x),
                read(3, Vector, norms),
                read(4, Vector, norms),
                read(5, Activation, size[0]),
                read(6, Activation, size[0]),
            ];
            all.extend(partials);
            all
        }
        // q, keys and values, y, lse, batch, queries, keys, heads, scale
        "attention" => vec![
            read(0, Activation, 1),
            read(1, Activation, blocks_x / (size[0] * size[3])),
        ],
        // x, gamma, beta, [table, class token,] y, rows or batch and tokens, channels, …
        "layernorm" => {
            let positions = launch.kernel.entry == "layernorm_pos_fwd";
            let class_token = positions && launch.args[4] != Arg::Null;
            let tokens = if positions { size[1] } else { 1 };
            let rows = size[0] * (tokens + u64::from(class_token));
            let mut all = vec![
                read(0, Activation, 1),
                read(1, Vector, halves * rows),
                read(2, Vector, halves * rows),
            ];
            if positions {
                all.extend([3, 4].map(|argument| read(argument, Activation, size[0])));
            } else {
                all[0].bytes = Some(rows * size[1] * element(launch));
            }
            all
        }
        // x, gamma, beta, weight, bias, logits, batch, channels, classes, …
        "head" => {
            let images = size[0].div_ceil(u64::from(HEAD_IMAGES));
            let groups = size[2].div_ceil(u64::from(HEAD_CLASSES));
            let x = read(0, Activation, 3 * groups);
            let bytes = Some(size[0] * size[1] * element(launch));
            vec![
                Read { bytes, ..x },
                read(1, Vector, halves * size[0] * groups),
                read(2, Vector, halves * size[0] * groups),
                read(3, Weight, images),
                read(4, Vector, WARPS * halves * size[0]),
            ]
        }
        // x, class token, table, y, batch, …
        "pos_embed" => vec![
            read(0, Activation, 1),
            read(1, Activation, size[0]),
            read(2, Activation, size[0]),
        ],
        "residual" => vec![read(0, Activation, 1), read(1, Activation, 1)],
        "preprocess" => vec![read(0, Activation, 1)],
        other => panic!("`{other}` has no contract here"),
    }
}
