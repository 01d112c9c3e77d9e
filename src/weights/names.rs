//! What the parameters are called in each kind of checkpoint, as a table.
//!
//! Every row gives one kind of parameter. In the patterns `{s}` is the stage counted from 1, `{i}`
//! the same from 0, `{j}` the block in its stage from 0, `{j1}` the same from 1, and `{p}` is
//! `weight` or `bias`.

use std::fmt;
use std::ops::Range;

use super::manifest::Param;
use crate::config::{Mode, STAGES};

/// A way of naming parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyScheme {
    /// The published code, for classification, detection or segmentation.
    Official,
    /// Hugging Face's transformers: key and value are separate.
    HuggingFace,
    /// `OpenMMLab`'s mmdetection, a backbone: query, key and value are one matrix.
    Mmdetection,
}

/// Part of a parameter, as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Key in the file, without prefix.
    pub key: String,
    /// Shapes that are accepted, the usual one first.
    pub forms: Vec<Form>,
}

/// One shape of a tensor in a file, and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Flat indices of the values wanted; always whole rows.
    pub elements: Range<usize>,
}

/// One kind of parameter.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) official: &'static str,
    hugging_face: &'static [Part],
    mmdetection: &'static [Part],
}

impl Row {
    /// Whether both are the same row of the table.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.official == other.official
    }
}

/// Where rows of a parameter come from. A parameter is its parts, one under the other.
#[derive(Debug)]
enum Part {
    /// All rows of a tensor.
    Whole(&'static str),
    /// These thirds of the rows of a tensor.
    Thirds(&'static str, Range<usize>),
}

use Part::{Thirds, Whole};

pub(super) static PATCH_PROJ: Row = Row {
    official: "patch_embed{s}.proj.{p}",
    hugging_face: &[Whole("encoder.patch_embeddings.{i}.projection.{p}")],
    mmdetection: &[Whole("layers.{i}.0.projection.{p}")],
};
pub(super) static PATCH_NORM: Row = Row {
    official: "patch_embed{s}.norm.{p}",
    hugging_face: &[Whole("encoder.patch_embeddings.{i}.layer_norm.{p}")],
    mmdetection: &[Whole("layers.{i}.0.norm.{p}")],
};
pub(super) static POS_EMBED: Row = Row {
    official: "pos_embed{s}",
    hugging_face: &[Whole("encoder.patch_embeddings.{i}.position_embeddings")],
    mmdetection: &[Whole("layers.{i}.1.0.pos_embed")],
};
pub(super) static CLS_TOKEN: Row = Row {
    official: "cls_token",
    hugging_face: &[Whole("encoder.patch_embeddings.{i}.cls_token")],
    mmdetection: &[],
};
pub(super) static NORM1: Row = Row {
    official: "block{s}.{j}.norm1.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.layer_norm_1.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.norm1.{p}")],
};
pub(super) static ATTN_Q: Row = Row {
    official: "block{s}.{j}.attn.q.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.attention.self.query.{p}")],
    mmdetection: &[Thirds("layers.{i}.1.{j1}.attn.attn.in_proj_{p}", 0..1)],
};
pub(super) static ATTN_KV: Row = Row {
    official: "block{s}.{j}.attn.kv.{p}",
    hugging_face: &[
        Whole("encoder.block.{i}.{j}.attention.self.key.{p}"),
        Whole("encoder.block.{i}.{j}.attention.self.value.{p}"),
    ],
    mmdetection: &[Thirds("layers.{i}.1.{j1}.attn.attn.in_proj_{p}", 1..3)],
};
pub(super) static ATTN_PROJ: Row = Row {
    official: "block{s}.{j}.attn.proj.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.attention.output.dense.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.attn.attn.out_proj.{p}")],
};
pub(super) static ATTN_SR: Row = Row {
    official: "block{s}.{j}.attn.sr.{p}",
    hugging_face: &[Whole(
        "encoder.block.{i}.{j}.attention.self.sequence_reduction.{p}",
    )],
    mmdetection: &[Whole("layers.{i}.1.{j1}.attn.sr.{p}")],
};
pub(super) static ATTN_NORM: Row = Row {
    official: "block{s}.{j}.attn.norm.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.attention.self.layer_norm.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.attn.norm.{p}")],
};
pub(super) static NORM2: Row = Row {
    official: "block{s}.{j}.norm2.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.layer_norm_2.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.norm2.{p}")],
};
pub(super) static MLP_FC1: Row = Row {
    official: "block{s}.{j}.mlp.fc1.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.mlp.dense1.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.ffn.layers.0.{p}")],
};
pub(super) static MLP_FC2: Row = Row {
    official: "block{s}.{j}.mlp.fc2.{p}",
    hugging_face: &[Whole("encoder.block.{i}.{j}.mlp.dense2.{p}")],
    mmdetection: &[Whole("layers.{i}.1.{j1}.ffn.layers.3.{p}")],
};
pub(super) static FINAL_NORM: Row = Row {
    official: "norm.{p}",
    hugging_face: &[Whole("encoder.layer_norm.{p}")],
    mmdetection: &[],
};
pub(super) static HEAD: Row = Row {
    official: "head.{p}",
    hugging_face: &[Whole("classifier.{p}")],
    mmdetection: &[],
};

/// What may stand in front of every key, per scheme; `backbone.` in a detector or segmentor.
const PREFIXES: [(KeyScheme, &[&str]); 3] = [
    (KeyScheme::Official, &WRAPPERS),
    (KeyScheme::HuggingFace, &["", "module."]),
    (KeyScheme::Mmdetection, &WRAPPERS),
];
const WRAPPERS: [&str; 5] = [
    "",
    "module.",
    "backbone.",
    "module.backbone.",
    "backbone.module.",
];

/// Older spelling of part of a key, and the one in the table.
const ALIASES: [(KeyScheme, &str, &str); 1] = [(
    KeyScheme::HuggingFace,
    ".attention.self.sr.",
    ".attention.self.sequence_reduction.",
)];

impl KeyScheme {
    /// Every scheme.
    pub const ALL: [Self; 3] = [Self::Official, Self::HuggingFace, Self::Mmdetection];

    /// Prefixes that a file of this scheme may put before its keys.
    pub fn prefixes(self) -> &'static [&'static str] {
        PREFIXES
            .iter()
            .find(|(scheme, _)| *scheme == self)
            .map_or(&[""], |(_, prefixes)| *prefixes)
    }

    /// `key` of a file as the table spells it: without `prefix`, without Hugging Face's optional
    /// `pvt.`, and with older names replaced. None where the prefix is absent.
    pub fn canonical(self, key: &str, prefix: &str) -> Option<String> {
        let mut key = key.strip_prefix(prefix)?;
        if self == Self::HuggingFace {
            key = key.strip_prefix("pvt.").unwrap_or(key);
        }
        let alias = ALIASES
            .iter()
            .find(|(scheme, old, _)| *scheme == self && key.contains(old));
        Some(match alias {
            Some((_, old, new)) => key.replacen(old, new, 1),
            None => key.to_owned(),
        })
    }

    /// The pieces that make up `param`, one under the other; none where files of this scheme do
    /// not have it.
    ///
    /// Hugging Face keeps the key and the value half of `kv` apart; mmdetection stacks query, key
    /// and value, and writes the linear layers of the MLP as 1×1 convolutions. In
    /// [`Mode::Backbone`] the first row of `pos_embed4`, of the class token, is skipped where the
    /// file has it.
    pub fn pieces(self, param: &Param, mode: Mode) -> Vec<Piece> {
        let official = [Whole(param.row.official)];
        let parts = match self {
            Self::Official => &official[..],
            Self::HuggingFace => param.row.hugging_face,
            Self::Mmdetection => param.row.mmdetection,
        };
        let piece = |part: &Part| {
            let (pattern, forms) = match part {
                Whole(pattern) => (pattern, self.whole(param, mode, parts.len())),
                Thirds(pattern, thirds) => (pattern, vec![third(param, thirds)]),
            };
            let key = param.place.fill(pattern);
            Piece { key, forms }
        };
        parts.iter().map(piece).collect()
    }

    /// Forms of a whole tensor that is one of `parts` equal parts of `param`.
    fn whole(self, param: &Param, mode: Mode, parts: usize) -> Vec<Form> {
        let mut shape = param.shape.clone();
        shape[0] /= parts;
        let all = Form {
            elements: 0..shape.iter().product(),
            shape,
        };
        if param.row.is(&POS_EMBED) && mode == Mode::Backbone && param.stage() == STAGES - 1 {
            let [rows, channels] = [param.shape[1], param.shape[2]];
            let with_class_row = Form {
                shape: vec![1, rows + 1, channels],
                elements: channels..(rows + 1) * channels,
            };
            return vec![with_class_row, all];
        }
        let is_mlp_weight =
            (param.row.is(&MLP_FC1) || param.row.is(&MLP_FC2)) && param.shape.len() == 2;
        if self == Self::Mmdetection && is_mlp_weight {
            let convolution = Form {
                shape: [&all.shape[..], &[1, 1]].concat(),
                elements: all.elements.clone(),
            };
            return vec![convolution, all];
        }
        vec![all]
    }
}

/// `thirds` of the rows of a tensor that stacks three times as many rows as `param` has per third.
fn third(param: &Param, thirds: &Range<usize>) -> Form {
    let mut shape = param.shape.clone();
    shape[0] /= thirds.len();
    let step: usize = shape.iter().product();
    shape[0] *= 3;
    Form {
        shape,
        elements: thirds.start * step..thirds.end * step,
    }
}

impl fmt::Display for KeyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Official => "official",
            Self::HuggingFace => "Hugging Face",
            Self::Mmdetection => "mmdetection",
        })
    }
}

/// Which of the layers that share a row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Counted from 0.
    pub(super) stage: usize,
    /// Counted from 0; 0 outside blocks.
    block: usize,
    leaf: Leaf,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Leaf {
    Weight,
    Bias,
}

impl Place {
    pub(super) const fn stage(stage: usize) -> Self {
        Self::block(stage, 0)
    }

    pub(super) const fn block(stage: usize, block: usize) -> Self {
        let leaf = Leaf::Weight;
        Self { stage, block, leaf }
    }

    pub(super) const fn leaf(self, leaf: Leaf) -> Self {
        Self { leaf, ..self }
    }

    /// `pattern` with the numbers of this place.
    pub(super) fn fill(self, pattern: &str) -> String {
        pattern
            .replace("{s}", &(self.stage + 1).to_string())
            .replace("{i}", &self.stage.to_string())
            .replace("{j}", &self.block.to_string())
            .replace("{j1}", &(self.block + 1).to_string())
            .replace(
                "{p}",
                match self.leaf {
                    Leaf::Weight => "weight",
                    Leaf::Bias => "bias",
                },
            )
    }
}
