//! Finding the parameters of a model among the tensors of a file.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::error::{Mismatch, Misshaped, SHOWN, Unmatched};
use super::file::{Tensor, TensorFile};
use super::float::FLOATS;
use super::manifest::{Manifest, Param};
use super::names::{KeyScheme, Piece};
use super::{Span, Weights, WeightsError};
use crate::config::text::closest;
use crate::config::{Mode, PvtConfig};

/// Most names that a name is compared with to find the closest.
const COMPARED: usize = 2_000;

pub(super) fn load(
    file: TensorFile,
    config: &PvtConfig,
    mode: Mode,
) -> Result<Weights, WeightsError> {
    let manifest = Manifest::for_config(config, mode)?;
    let full = Manifest::for_config(config, Mode::Classify)?;
    refuse_second_version(&file)?;
    let (scheme, prefix) = recognise(&file, &full)?;
    let mut matching = Matching::new(&file, scheme, prefix);
    let mut params = BTreeMap::new();
    for param in manifest.params() {
        params.insert(param.name.clone(), matching.find(param, mode));
    }
    if mode == Mode::Backbone {
        matching.ignore_classification(&full);
    }
    let ignored = matching.finish(&full, mode)?;
    Ok(Weights {
        file,
        scheme,
        params,
        ignored,
    })
}

/// Keys of the second version contain one of these; those of the first never do.
const SECOND_VERSION: [&str; 5] = [
    "pvt_v2.",
    ".mlp.dwconv.",
    "stages.0.blocks.0.",
    "encoder.layers.0.patch_embedding.",
    ".ffn.layers.4.",
];

fn refuse_second_version(file: &TensorFile) -> Result<(), WeightsError> {
    let mut by_name = file.names();
    let mut found = by_name.find(|key| SECOND_VERSION.iter().any(|part| key.contains(part)));
    // Its published checkpoints have the patch embedding of the first version and no positions.
    if found.is_none() && !file.names().any(|key| key.contains("pos_embed")) {
        found = file
            .names()
            .find(|key| key.ends_with("patch_embed1.proj.weight"));
    }
    found.map_or(Ok(()), |key| {
        Err(WeightsError::NotYetSupported {
            file: file.name().to_owned(),
            key: key.to_owned(),
        })
    })
}

/// The scheme and prefix that most keys follow. Keys outside the stages do not count: other
/// models have a `head.weight` too.
fn recognise(
    file: &TensorFile,
    full: &Manifest,
) -> Result<(KeyScheme, &'static str), WeightsError> {
    let mut best = None;
    let mut most = 0;
    for scheme in KeyScheme::ALL {
        let known: HashSet<String> = full
            .params()
            .iter()
            .filter(|param| !param.is_classification())
            .flat_map(|param| scheme.pieces(param, full.mode()))
            .map(|piece| piece.key)
            .collect();
        for &prefix in scheme.prefixes() {
            let canonical = file.names().filter_map(|key| scheme.canonical(key, prefix));
            let count = canonical.filter(|key| known.contains(key)).count();
            if count > most {
                most = count;
                best = Some((scheme, prefix));
            }
        }
    }
    best.ok_or_else(|| WeightsError::UnknownScheme {
        file: file.name().to_owned(),
        keys: file.names().take(SHOWN).map(str::to_owned).collect(),
        count: file.names().len(),
    })
}

/// The tensors of a file, and what became of them.
struct Matching<'a> {
    file: &'a TensorFile,
    scheme: KeyScheme,
    prefix: &'static str,
    /// Tensors not used yet, by their key in the table of names.
    left: BTreeMap<String, Tensor<'a>>,
    /// Tensors used already; one may serve several parameters.
    used: BTreeMap<String, Tensor<'a>>,
    ignored: Vec<String>,
    unexpected: Vec<String>,
    missing: BTreeSet<String>,
    misshaped: BTreeMap<String, Misshaped>,
    wrong_dtype: BTreeMap<String, super::Dtype>,
    /// Whether all that is wrong so far concerns classification.
    classification_only: bool,
}

impl<'a> Matching<'a> {
    fn new(file: &'a TensorFile, scheme: KeyScheme, prefix: &'static str) -> Self {
        let mut matching = Self {
            file,
            scheme,
            prefix,
            left: BTreeMap::new(),
            used: BTreeMap::new(),
            ignored: Vec::new(),
            unexpected: Vec::new(),
            missing: BTreeSet::new(),
            misshaped: BTreeMap::new(),
            wrong_dtype: BTreeMap::new(),
            classification_only: true,
        };
        for tensor in file.names().filter_map(|key| file.get(key)) {
            let key = tensor.name.to_owned();
            match scheme.canonical(&key, prefix) {
                // The neck and heads of a detector stand next to its backbone.
                None if prefix.contains("backbone.") => matching.ignored.push(key),
                None => matching.unexpected.push(key),
                Some(canonical) if matching.left.contains_key(&canonical) => {
                    matching.unexpected.push(key);
                }
                Some(canonical) => {
                    matching.left.insert(canonical, tensor);
                }
            }
        }
        matching
    }

    /// The spans that make up `param`; whatever is wrong with them is noted.
    fn find(&mut self, param: &Param, mode: Mode) -> Vec<Span> {
        let pieces = self.scheme.pieces(param, mode);
        if pieces.is_empty() {
            self.missing.insert(param.name.clone());
            self.classification_only &= param.is_classification();
        }
        let spans = pieces.iter().map(|piece| self.span(piece, param));
        spans.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn span(&mut self, piece: &Piece, param: &Param) -> Option<Span> {
        if let Some((key, tensor)) = self.left.remove_entry(&piece.key) {
            self.used.insert(key, tensor);
        }
        let Some(tensor) = self.used.get(&piece.key) else {
            self.missing.insert(format!("{}{}", self.prefix, piece.key));
            self.classification_only &= param.is_classification();
            return None;
        };
        let key = tensor.name.to_owned();
        if !FLOATS.contains(&tensor.dtype) {
            self.wrong_dtype.insert(key, tensor.dtype);
            self.classification_only = false;
            return None;
        }
        let form = piece.forms.iter().find(|form| form.shape == tensor.shape);
        let Some(form) = form else {
            self.classification_only &= param.lacks_class_row(tensor.shape);
            let misshaped = Misshaped {
                key: key.clone(),
                found: tensor.shape.to_vec(),
                expected: piece
                    .forms
                    .first()
                    .map_or_else(Vec::new, |form| form.shape.clone()),
            };
            self.misshaped.insert(key, misshaped);
            return None;
        };
        Some(Span {
            key,
            elements: form.elements.clone(),
        })
    }

    /// Takes out what only classification uses.
    fn ignore_classification(&mut self, full: &Manifest) {
        for param in full.params().iter().filter(|p| p.is_classification()) {
            for piece in self.scheme.pieces(param, full.mode()) {
                let tensor = self.left.remove(&piece.key);
                self.ignored.extend(tensor.map(|t| t.name.to_owned()));
            }
        }
    }

    /// The ignored keys, or everything found wrong.
    fn finish(mut self, full: &Manifest, mode: Mode) -> Result<Vec<String>, WeightsError> {
        self.unexpected
            .extend(self.left.values().map(|tensor| tensor.name.to_owned()));
        self.unexpected.sort_unstable();
        self.ignored.sort_unstable();
        let fits = self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.misshaped.is_empty()
            && self.wrong_dtype.is_empty();
        if fits {
            return Ok(self.ignored);
        }
        let known: Vec<String> = full
            .params()
            .iter()
            .flat_map(|param| self.scheme.pieces(param, full.mode()))
            .map(|piece| format!("{}{}", self.prefix, piece.key))
            .collect();
        let missing: Vec<String> = self.missing.into_iter().collect();
        Err(WeightsError::Mismatch(Box::new(Mismatch {
            file: self.file.name().to_owned(),
            scheme: self.scheme,
            prefix: self.prefix,
            backbone_only: mode == Mode::Classify
                && self.classification_only
                && self.unexpected.is_empty(),
            missing: unmatched(&missing, &self.unexpected),
            unexpected: unmatched(&self.unexpected, &known),
            misshaped: self.misshaped.into_values().collect(),
            wrong_dtype: self.wrong_dtype.into_iter().collect(),
        })))
    }
}

/// `keys`, each of those that a message shows with the closest of `others`.
fn unmatched(keys: &[String], others: &[String]) -> Vec<Unmatched> {
    let others = || others.iter().take(COMPARED).map(String::as_str);
    let unmatched = keys.iter().enumerate().map(|(index, key)| Unmatched {
        key: key.clone(),
        closest: (index < SHOWN)
            .then(|| closest(key, others()))
            .flatten()
            .map(str::to_owned),
    });
    unmatched.collect()
}
