//! The parameters a model consists of.

use super::names::{self, Leaf, Place, Row};
use crate::config::{ConfigError, Mode, PvtConfig, STAGES};
use crate::shape::elements;

/// One parameter of a model.
#[derive(Debug, Clone)]
pub struct Param {
    /// Key in the published checkpoints.
    pub name: String,
    /// Sizes, outermost first; row-major.
    pub shape: Vec<usize>,
    /// Whether weight decay applies in training: not to vectors, biases and the class token.
    pub decay: bool,
    pub(super) row: &'static Row,
    pub(super) place: Place,
}

impl Param {
    /// Number of values.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Stage that the parameter belongs to, counted from 0. The class token, the final norm and
    /// the head belong to the last.
    pub fn stage(&self) -> usize {
        self.place.stage
    }

    /// Whether backbones have no use for it.
    pub(super) fn is_classification(&self) -> bool {
        [&names::CLS_TOKEN, &names::FINAL_NORM, &names::HEAD]
            .into_iter()
            .any(|row| self.row.is(row))
    }

    /// Whether `shape` is that of this position table without the row of the class token.
    pub(super) fn lacks_class_row(&self, shape: &[usize]) -> bool {
        self.row.is(&names::POS_EMBED)
            && self.stage() == STAGES - 1
            && matches!((shape, &self.shape[..]), ([1, n, c], [1, rows, channels])
                if n.checked_add(1) == Some(*rows) && c == channels)
    }
}

/// Every parameter of a model, in the order of the published code's stages.
#[derive(Debug, Clone)]
pub struct Manifest {
    mode: Mode,
    params: Vec<Param>,
}

impl Manifest {
    /// The parameters of `config`.
    ///
    /// In [`Mode::Backbone`] there is no class token, final norm or head, and `pos_embed4` is
    /// (1, N, C), one row per position: the row of the class token that files carry in front of
    /// them is not a parameter.
    ///
    /// # Errors
    /// Those of [`PvtConfig::validate`], and [`ConfigError::Shape`] where a size or the sum of
    /// them exceeds the address space.
    pub fn for_config(config: &PvtConfig, mode: Mode) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut list = List::default();
        let mut channels = config.in_chans;
        for (index, stage) in config.stages.iter().enumerate() {
            let (c, k, e) = (stage.embed_dim, stage.patch_size, stage.hidden_dim());
            let at = Place::stage(index);
            let has_class_token = mode == Mode::Classify && index == STAGES - 1;
            let (height, width) = config.native_grid(index);
            let rows = height * width + usize::from(has_class_token);
            list.one(&names::POS_EMBED, at, vec![1, rows, c]);
            list.both(&names::PATCH_PROJ, at, vec![c, channels, k, k]);
            list.both(&names::PATCH_NORM, at, vec![c]);
            for block in 0..stage.depth {
                let at = Place::block(index, block);
                list.both(&names::NORM1, at, vec![c]);
                if config.qkv_bias {
                    list.both(&names::ATTN_Q, at, vec![c, c]);
                    list.both(&names::ATTN_KV, at, vec![2 * c, c]);
                } else {
                    list.weight(&names::ATTN_Q, at, vec![c, c]);
                    list.weight(&names::ATTN_KV, at, vec![2 * c, c]);
                }
                list.both(&names::ATTN_PROJ, at, vec![c, c]);
                if stage.sr_ratio > 1 {
                    let r = stage.sr_ratio;
                    list.both(&names::ATTN_SR, at, vec![c, c, r, r]);
                    list.both(&names::ATTN_NORM, at, vec![c]);
                }
                list.both(&names::NORM2, at, vec![c]);
                list.both(&names::MLP_FC1, at, vec![e, c]);
                list.both(&names::MLP_FC2, at, vec![c, e]);
            }
            channels = c;
        }
        if mode == Mode::Classify {
            let at = Place::stage(STAGES - 1);
            list.one(&names::CLS_TOKEN, at, vec![1, 1, channels]);
            list.both(&names::FINAL_NORM, at, vec![channels]);
            list.both(&names::HEAD, at, vec![config.num_classes, channels]);
        }
        let params = list.params;
        let mut total = 0usize;
        for param in &params {
            let count = elements("elements of a parameter", &param.shape)?;
            total = total.saturating_add(count);
        }
        elements("parameters of the model", &[total])?;
        Ok(Self { mode, params })
    }

    /// What the parameters are for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The parameters, stage by stage.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Number of values in all parameters.
    pub fn num_parameters(&self) -> usize {
        self.params.iter().map(Param::elements).sum()
    }

    /// Number of values in the parameters of each stage.
    pub fn num_parameters_per_stage(&self) -> [usize; STAGES] {
        let mut sums = [0; STAGES];
        for param in &self.params {
            sums[param.stage()] += param.elements();
        }
        sums
    }
}

#[derive(Default)]
struct List {
    params: Vec<Param>,
}

impl List {
    /// A parameter that is neither a weight nor a bias of a layer.
    fn one(&mut self, row: &'static Row, place: Place, shape: Vec<usize>) {
        let decay = !row.is(&names::CLS_TOKEN);
        self.push(row, place, shape, decay);
    }

    fn weight(&mut self, row: &'static Row, place: Place, shape: Vec<usize>) {
        let decay = shape.len() > 1;
        self.push(row, place.leaf(Leaf::Weight), shape, decay);
    }

    /// A weight and a bias, of as many values as the weight has rows.
    fn both(&mut self, row: &'static Row, place: Place, shape: Vec<usize>) {
        let bias = vec![shape[0]];
        self.weight(row, place, shape);
        self.push(row, place.leaf(Leaf::Bias), bias, false);
    }

    fn push(&mut self, row: &'static Row, place: Place, shape: Vec<usize>, decay: bool) {
        self.params.push(Param {
            name: place.fill(row.official),
            shape,
            decay,
            row,
            place,
        });
    }
}
