//! Training: data, random numbers, checkpoints and the loop, with a learner small enough to be
//! judged by eye.

mod augment;
mod data;
mod fit;
mod init;
mod kill;
mod learner;
mod log;
mod pytorch;
mod random;
mod refuse;
mod schedule;
mod steps;
mod support;
mod ten_steps;
