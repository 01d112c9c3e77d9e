//! Pictures against Pillow: decoding, resizing and preparing, and what bad files are answered.

mod decode;
mod prepare;
mod refuse;
mod resize;
mod support;
