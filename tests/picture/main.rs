//! Pictures against Pillow: decoding, resizing and preparing, and what bad files are answered.
#![cfg(feature = "picture")]

mod decode;
mod prepare;
mod refuse;
mod resize;
mod support;
