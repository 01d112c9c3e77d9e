//! Pictures in one folder per class.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::random::{Purpose, Stream};
use super::{DataError, TrainError, init};
use crate::config::text::closest;
use crate::config::{Preprocess, Resize};
use crate::picture::{Picture, has_picture_ending, prepare_into, resize_and_crop};
use crate::shape::ImageSize;

/// Folders of testing pictures that are looked for, the first that is there counts.
const TEST_FOLDERS: [&str; 2] = ["val", "test"];

/// Pictures decoded between two looks at the memory they take.
const AT_ONCE: usize = 64;

/// A picture file and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// Index of the class.
    pub class: u32,
}

/// Where pictures are.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Folder of class folders, or of `train` with `val` or `test` beside it.
    pub folder: PathBuf,
    /// Folder of the class folders of testing pictures, in place of `val` or `test`.
    pub test: Option<PathBuf>,
    /// Share of each class to be held out for testing, where there is no such folder.
    pub hold_out: f64,
    /// Seed that decides which are held out.
    pub seed: u64,
}

/// What was found: classes, and the files of each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Pictures to train on, sorted by class folder and file name.
    pub train: Vec<Sample>,
    /// Pictures to test with, in the same order; may be empty.
    pub test: Vec<Sample>,
}

impl Listing {
    /// Looks for pictures. Classes are numbered as in `labels`, or in the order of their names.
    ///
    /// # Errors
    /// A [`DataError`] that names the file or folder for everything that does not belong there.
    pub fn find(source: &Source, labels: Option<&[String]>) -> Result<Self, TrainError> {
        if !(0.0..1.0).contains(&source.hold_out) {
            return Err(TrainError::Setting {
                option: "hold-out",
                found: source.hold_out.to_string(),
                expected: "a share of the pictures, 0 or more and below 1".to_owned(),
            });
        }
        let inner = source.folder.join("train");
        let has_parts = inner.is_dir();
        let folder = if has_parts { &inner } else { &source.folder };
        let found = class_folders(folder)?;
        let classes = match labels {
            Some(labels) => labels.to_vec(),
            None => found.iter().map(|(name, _)| name.clone()).collect(),
        };
        if let [(class, _)] = &found[..] {
            return Err(TrainError::Data(DataError::OneClass {
                folder: folder.clone(),
                class: class.clone(),
            }));
        }
        let train = samples(&found, &classes)?;
        let beside = || {
            let mut folders = TEST_FOLDERS.iter().map(|name| source.folder.join(name));
            folders.find(|path| has_parts && path.is_dir())
        };
        let (train, test) = match source.test.clone().or_else(beside) {
            Some(test) if source.hold_out > 0.0 => {
                return Err(TrainError::Setting {
                    option: "hold-out",
                    found: source.hold_out.to_string(),
                    expected: format!("0, as {} has the pictures to test with", test.display()),
                });
            }
            Some(test) => (train, samples(&class_folders(&test)?, &classes)?),
            None => hold_out(train, source.hold_out, source.seed),
        };
        Ok(Self {
            classes,
            train,
            test,
        })
    }

    /// A hash of classes, and of the names and lengths of all files, wherever their folder lies:
    /// tells whether a run continues on the pictures that it began with.
    ///
    /// # Errors
    /// [`DataError::Read`].
    pub fn fingerprint(&self) -> Result<String, DataError> {
        let mut text = self.classes.join("/");
        for sample in self.train.iter().chain([&self.test].into_iter().flatten()) {
            let about = fs::metadata(&sample.path).map_err(read(&sample.path))?;
            let name = sample.path.file_name().unwrap_or_default();
            // writing to a string cannot fail
            let _ = write!(
                text,
                "\n{} {} {}",
                sample.class,
                name.display(),
                about.len()
            );
        }
        let (train, test) = (self.train.len(), self.test.len());
        Ok(format!(
            "{train}+{test} pictures, {:016x}",
            init::hash(&text)
        ))
    }
}

fn read(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Read {
        path: path.clone(),
        source,
    }
}

/// What a folder holds, sorted, without hidden files.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read(folder))? {
        let entry = entry.map_err(read(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The class folders in `folder`, sorted by name.
fn class_folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| DataError::Name { path: path.clone() })?;
            found.push((name.to_owned(), path));
        } else if has_picture_ending(&path) {
            return Err(DataError::Stray {
                path,
                found: "a picture beside the class folders",
                expected: "move it into the folder of its class",
            });
        }
    }
    if found.is_empty() {
        return Err(DataError::NoClasses {
            folder: folder.to_owned(),
        });
    }
    Ok(found)
}

/// The pictures of class folders.
fn samples(folders: &[(String, PathBuf)], classes: &[String]) -> Result<Vec<Sample>, DataError> {
    let mut samples = Vec::new();
    for (name, folder) in folders {
        let class = (0..).zip(classes).find(|(_, class)| *class == name);
        let (class, _) = class.ok_or_else(|| DataError::UnknownClass {
            folder: folder.clone(),
            class: name.clone(),
            closest: closest(name, classes.iter().map(String::as_str)).map(str::to_owned),
        })?;
        let before = samples.len();
        for path in entries(folder)? {
            if path.is_dir() {
                return Err(DataError::Stray {
                    path,
                    found: "a folder in the folder of a class",
                    expected: "pictures lie in the folder of their class itself",
                });
            }
            if has_picture_ending(&path) {
                samples.push(Sample { path, class });
            }
        }
        if samples.len() == before {
            return Err(DataError::EmptyClass {
                folder: folder.clone(),
            });
        }
    }
    Ok(samples)
}

/// Takes `share` of the pictures of each class out of `samples`, by a seeded choice; one at least
/// stays.
fn hold_out(samples: Vec<Sample>, share: f64, seed: u64) -> (Vec<Sample>, Vec<Sample>) {
    let mut held = vec![false; samples.len()];
    let mut start = 0;
    for class in samples.chunk_by(|a, b| a.class == b.class) {
        let mut order: Vec<usize> = (start..start + class.len()).collect();
        Stream::new(seed, Purpose::HoldOut, 0, u64::from(class[0].class)).shuffle(&mut order);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let count = (share * class.len() as f64).round() as usize;
        for &at in order.iter().take(count.min(class.len() - 1)) {
            held[at] = true;
        }
        start += class.len();
    }
    let (test, train): (Vec<_>, Vec<_>) = samples.into_iter().zip(held).partition(|(_, h)| *h);
    let files = |part: Vec<(Sample, bool)>| part.into_iter().map(|(sample, _)| sample).collect();
    (files(train), files(test))
}

/// What is kept of each picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The picture at the size of the model.
    Prepared,
    /// The picture as it was decoded, for random parts of it.
    Original,
}

/// Pictures that a run goes through many times.
#[derive(Debug)]
pub struct Dataset {
    samples: Vec<Sample>,
    size: ImageSize,
    preprocess: Preprocess,
    keep: Keep,
    /// In the order of `samples`; none where they are decoded each time.
    memory: Option<Vec<Picture>>,
}

impl Dataset {
    /// Decodes `samples` for batches of `size` and keeps them as bytes, three per pixel. If that
    /// would take more than `budget` bytes, nothing is kept and each is decoded whenever it is used.
    ///
    /// # Errors
    /// [`DataError::Picture`] for the first picture that cannot be decoded or prepared, and
    /// [`DataError::Size`] for one that does not come out at `size`.
    pub fn load(
        samples: Vec<Sample>,
        size: ImageSize,
        preprocess: Preprocess,
        keep: Keep,
        budget: u64,
    ) -> Result<Self, DataError> {
        let mut dataset = Self {
            samples,
            size,
            preprocess,
            keep,
            memory: None,
        };
        let (mut memory, mut bytes) = (Vec::new(), 0);
        let indices: Vec<usize> = (0..dataset.len()).collect();
        for some in indices.chunks(AT_ONCE) {
            let decoded = some.par_iter().map(|&index| dataset.decode(index));
            // one after the other, so that the first of several bad files is named
            for picture in decoded.collect::<Vec<_>>() {
                let picture = picture?;
                bytes += picture.rgb().len() as u64;
                memory.push(picture);
            }
            if bytes > budget {
                return Ok(dataset);
            }
        }
        dataset.memory = Some(memory);
        Ok(dataset)
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether the pictures are kept in memory.
    pub fn is_in_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Height and width of pictures in a batch.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// Class of a picture.
    pub fn class(&self, index: usize) -> u32 {
        self.samples[index].class
    }

    /// What is kept of the picture number `index`.
    ///
    /// # Errors
    /// As [`load`](Self::load), where it has to be decoded again.
    pub fn picture(&self, index: usize) -> Result<Cow<'_, Picture>, DataError> {
        match &self.memory {
            Some(memory) => Ok(Cow::Borrowed(&memory[index])),
            None => self.decode(index).map(Cow::Owned),
        }
    }

    /// How a part of a picture is resized.
    pub(super) fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// An error of the picture number `index`.
    pub(super) fn refuse(
        &self,
        index: usize,
    ) -> impl Fn(crate::picture::PictureError) -> DataError {
        let path = self.samples[index].path.clone();
        move |source| DataError::Picture {
            path: path.clone(),
            source,
        }
    }

    /// The picture number `index` as it is tested: resized and cropped, without any change.
    ///
    /// # Errors
    /// As [`picture`](Self::picture).
    pub fn prepared(&self, index: usize) -> Result<Cow<'_, Picture>, DataError> {
        let picture = self.picture(index)?;
        match self.keep {
            Keep::Prepared => Ok(picture),
            Keep::Original => self.prepare(index, &picture).map(Cow::Owned),
        }
    }

    /// Normalised values [3, H, W] of `picture`, which has the size of the batch.
    pub(super) fn normalise(
        &self,
        index: usize,
        picture: &Picture,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let as_it_is = Preprocess {
            resize: Resize::None,
            crop: None,
            ..self.preprocess
        };
        prepare_into(picture, &as_it_is, out).map_err(self.refuse(index))
    }

    fn decode(&self, index: usize) -> Result<Picture, DataError> {
        let path = &self.samples[index].path;
        let picture = Picture::open(path).map_err(self.refuse(index))?;
        match self.keep {
            Keep::Prepared => self.prepare(index, &picture),
            Keep::Original => Ok(picture),
        }
    }

    fn prepare(&self, index: usize, picture: &Picture) -> Result<Picture, DataError> {
        let prepared = resize_and_crop(picture, &self.preprocess);
        let prepared = prepared.map_err(self.refuse(index))?.into_owned();
        if prepared.size() == self.size {
            return Ok(prepared);
        }
        Err(DataError::Size {
            path: self.samples[index].path.clone(),
            found: prepared.size(),
            expected: self.size,
        })
    }
}
