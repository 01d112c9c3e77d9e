//! `pvt classify`: the most probable classes of pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressIterator, ProgressStyle};
use pvt_cuda::config::{Mode, Preprocess};
use pvt_cuda::picture::{Picture, has_picture_ending, output_size, prepare};
use pvt_cuda::session::{Session, top_k};
use pvt_cuda::shape::ImageSize;
use rayon::prelude::*;
use serde::Serialize;

use crate::Outcome;
use crate::model::{Loaded, ModelArgs};
use crate::output::{self, note};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// JPEG or PNG files, or folders of them; a folder of class folders also gives the accuracy
    #[arg(required = true, value_name = "IMG|DIR")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Classes per picture
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Pictures per forward pass; the result does not depend on it
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Print the raw scores too (JSON only)
    #[arg(long, requires = "json")]
    logits: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A picture to classify and, in a folder of class folders, the folder's name.
struct Item {
    path: PathBuf,
    folder: Option<String>,
}

#[derive(Serialize)]
struct Ranked {
    label: String,
    p: f64,
}

#[derive(Serialize)]
struct FileResult {
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Ranked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Report {
    files: Vec<FileResult>,
    accuracy: Option<f64>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let items = collect(&args.inputs)?;
    let Loaded {
        mut session,
        preprocess,
        labels,
    } = args.model.load(Mode::Classify)?;
    let classes = session.config().num_classes;
    let label = |class: usize| match &labels {
        Some(labels) => labels[class].clone(),
        None => class.to_string(),
    };
    let bar = ProgressBar::new(items.len() as u64).with_style(style());
    let mut files = Vec::with_capacity(items.len());
    let mut hits = Vec::new();
    for group in items.chunks(usize::from(args.batch)).progress_with(bar) {
        for (item, result) in group.iter().zip(scores(&mut session, &preprocess, group)?) {
            let mut file = FileResult {
                path: item.path.display().to_string(),
                top: Vec::new(),
                logits: None,
                error: None,
            };
            match result {
                Err(error) => {
                    note(&format!("error: {error:#}"));
                    file.error = Some(format!("{error:#}"));
                }
                Ok(row) => {
                    let ranked = top_k(&row, usize::from(args.top));
                    let best = ranked.first().map(|&(class, _)| label(class));
                    hits.push((item.folder.as_deref(), best));
                    file.top = ranked
                        .into_iter()
                        .map(|(c, p)| Ranked { label: label(c), p })
                        .collect();
                    file.logits = args.logits.then_some(row);
                }
            }
            files.push(file);
        }
    }
    let failed = files.iter().any(|f| f.error.is_some());
    let known: Vec<String> = (0..classes).map(label).collect();
    let report = Report {
        files,
        accuracy: accuracy(&hits, &known),
    };
    print(args, &report)?;
    Ok(if failed {
        Outcome::BadInput
    } else {
        Outcome::Good
    })
}

/// Share of pictures whose best class is the name of their folder; none unless every picture lies in
/// a folder named like a class.
fn accuracy(hits: &[(Option<&str>, Option<String>)], classes: &[String]) -> Option<f64> {
    let folders: Vec<&str> = hits.iter().filter_map(|(folder, _)| *folder).collect();
    let stranger = folders.iter().find(|f| !classes.iter().any(|c| c == *f));
    if let Some(stranger) = stranger {
        note(&format!(
            "no accuracy: folder `{stranger}` is not the name of a class of this model"
        ));
        return None;
    }
    if folders.is_empty() || folders.len() < hits.len() {
        return None;
    }
    let right = hits
        .iter()
        .filter(|(folder, best)| best.as_deref() == *folder)
        .count();
    Some(right as f64 / hits.len() as f64)
}

/// Logits of each picture of `group`, or why it has none. Pictures of one size run together.
fn scores(
    session: &mut Session,
    preprocess: &Preprocess,
    group: &[Item],
) -> Result<Vec<Result<Vec<f32>>>> {
    let one = |item: &Item| -> Result<(ImageSize, Vec<f32>)> {
        let picture = Picture::open(&item.path)?;
        let name = || item.path.display().to_string();
        let size = output_size(picture.size(), preprocess).with_context(name)?;
        Ok((size, prepare(&picture, preprocess).with_context(name)?))
    };
    let prepared: Vec<_> = group.par_iter().map(one).collect();
    let mut results: Vec<Result<Vec<f32>>> = Vec::with_capacity(group.len());
    let mut rest = prepared.into_iter().peekable();
    while let Some(first) = rest.next() {
        let (size, mut pixels) = match first {
            Ok(prepared) => prepared,
            Err(error) => {
                results.push(Err(error));
                continue;
            }
        };
        let mut batch = 1;
        while let Some(Ok((_, more))) =
            rest.next_if(|next| matches!(next, Ok((s, _)) if *s == size))
        {
            pixels.extend(more);
            batch += 1;
        }
        let logits = session.classify(batch, size, &pixels)?;
        results.extend(
            logits
                .chunks_exact(logits.len() / batch)
                .map(|row| Ok(row.to_vec())),
        );
    }
    Ok(results)
}

/// The pictures that `inputs` name, sorted within each folder.
fn collect(inputs: &[PathBuf]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            items.push(Item {
                path: input.clone(),
                folder: None,
            });
            continue;
        }
        let before = items.len();
        for entry in entries(input)? {
            if entry.is_dir() {
                let folder = entry.file_name().map(|n| n.to_string_lossy().into_owned());
                let pictures = entries(&entry)?.into_iter().filter(|p| is_picture(p));
                items.extend(pictures.map(|path| Item {
                    path,
                    folder: folder.clone(),
                }));
            } else if is_picture(&entry) {
                items.push(Item {
                    path: entry,
                    folder: None,
                });
            }
        }
        anyhow::ensure!(
            items.len() > before,
            "{}: no pictures found; expected .jpg, .jpeg or .png files, or one folder of them per class",
            input.display()
        );
    }
    Ok(items)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths = std::fs::read_dir(folder)?
            .map(|e| e.map(|e| e.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().with_context(|| format!("{}: the folder cannot be read", folder.display()))
}

fn is_picture(path: &Path) -> bool {
    path.is_file() && has_picture_ending(path)
}

fn print(args: &Args, report: &Report) -> Result<()> {
    if args.json {
        return output::json(report);
    }
    for file in report.files.iter().filter(|f| f.error.is_none()) {
        let ranked: Vec<String> = file
            .top
            .iter()
            .map(|r| format!("{} {:.2}%", r.label, 100.0 * r.p))
            .collect();
        output::line(&format!("{}: {}", file.path, ranked.join(", ")))?;
    }
    if let Some(accuracy) = report.accuracy {
        let done = report.files.iter().filter(|f| f.error.is_none()).count();
        output::line(&format!(
            "accuracy: {:.2} % of {done} pictures",
            100.0 * accuracy
        ))?;
    }
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
