//! What a file says about its picture before any pixel is decoded.
//!
//! PNG: W3C PNG specification, sections 5 (chunks) and 11.2.1 (IHDR).
//! JPEG: ITU-T T.81, annex B (markers and segments).

use crate::shape::ImageSize;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Start of image, then the first byte of the next marker.
const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// Formats that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
}

impl Format {
    /// The format by the first bytes; the file name plays no part.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(PNG_SIGNATURE) {
            Some(Self::Png)
        } else if bytes.starts_with(JPEG_SIGNATURE) {
            Some(Self::Jpeg)
        } else {
            None
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
        }
    }

    pub(super) fn header(self, bytes: &[u8]) -> Result<Header, Flaw> {
        match self {
            Self::Jpeg => jpeg(bytes),
            Self::Png => png(bytes),
        }
    }
}

/// Size of the picture and what its format asks of the decoder.
pub(super) struct Header {
    pub(super) size: ImageSize,
    /// A JPEG of four components without the Adobe marker, so that nothing tells whether its
    /// values are inverted.
    pub(super) unmarked_cmyk: bool,
    /// Bytes per pixel that the decoder holds beside its output.
    pub(super) working_bytes: u64,
}

/// Why there is no header.
pub(super) enum Flaw {
    /// The file ends before this part.
    Truncated(&'static str),
    /// The file breaks the rules of its format.
    Damaged(&'static str),
}

/// Walks the chunks: length, type, data, checksum. A whole file ends with IEND.
fn png(bytes: &[u8]) -> Result<Header, Flaw> {
    const IHDR: usize = PNG_SIGNATURE.len();
    let truncated = || Flaw::Truncated("its closing IEND chunk");
    if bytes.get(IHDR + 4..IHDR + 8).ok_or_else(truncated)? != b"IHDR" {
        return Err(Flaw::Damaged("the first chunk is not IHDR"));
    }
    let width = be32(bytes, IHDR + 8).ok_or_else(truncated)?;
    let height = be32(bytes, IHDR + 12).ok_or_else(truncated)?;
    let mut at = IHDR;
    loop {
        let length = be32(bytes, at).ok_or_else(truncated)?;
        let kind = bytes.get(at + 4..at + 8).ok_or_else(truncated)?;
        let end = at.saturating_add(length).saturating_add(12);
        if end > bytes.len() {
            return Err(truncated());
        }
        if kind == b"IEND" {
            break;
        }
        at = end;
    }
    Ok(Header {
        size: ImageSize { height, width },
        unmarked_cmyk: false,
        working_bytes: 0,
    })
}

/// Walks the segments for the frame header; a whole file has an end-of-image marker.
fn jpeg(bytes: &[u8]) -> Result<Header, Flaw> {
    const EOI: u8 = 0xd9;
    /// Start of frame with progressive coding.
    const SOF2: u8 = 0xc2;
    /// The application segment in which Adobe says how colours are stored.
    const APP14: u8 = 0xee;
    /// Components of CMYK and YCCK.
    const CMYK: u8 = 4;
    /// Bytes of a coefficient; progressive decoding keeps all of them until the end.
    const COEFFICIENT: u64 = 2;
    let truncated = || Flaw::Truncated("its end-of-image marker");
    let mut header = None;
    let mut adobe = false;
    let mut at = 2;
    loop {
        // Entropy-coded data has a zero after each 0xff; fill bytes are 0xff themselves.
        while !matches!(
            bytes.get(at..at + 2).ok_or_else(truncated)?,
            [0xff, 1..=0xfe]
        ) {
            at += 1;
        }
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            EOI => break,
            // Temporary, restart and start-of-image markers stand alone.
            0x01 | 0xd0..=0xd8 => continue,
            // Start of frame: length, precision, height, width, components. The other codes
            // of the range are Huffman tables, a reserved one and arithmetic conditioning.
            0xc0..=0xcf if header.is_none() && !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let height = be16(bytes, at + 3).ok_or_else(truncated)?;
                let width = be16(bytes, at + 5).ok_or_else(truncated)?;
                let components = *bytes.get(at + 7).ok_or_else(truncated)?;
                let coefficients = if marker == SOF2 { COEFFICIENT } else { 0 };
                header = Some(Header {
                    size: ImageSize { height, width },
                    unmarked_cmyk: components == CMYK,
                    working_bytes: u64::from(components) * coefficients,
                });
            }
            APP14 => {
                let body = bytes.get(at + 2..);
                adobe |= body.is_some_and(|body| body.starts_with(b"Adobe"));
            }
            _ => {}
        }
        at += be16(bytes, at).ok_or_else(truncated)?;
    }
    let header: Header = header.ok_or(Flaw::Damaged("there is no frame header"))?;
    Ok(Header {
        unmarked_cmyk: header.unmarked_cmyk && !adobe,
        ..header
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*field)))
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*field)).ok()
}

/// What bytes that are no picture of ours look like, for the error message.
pub(super) fn describe(bytes: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 9] = [
        (b"GIF8", "a GIF picture"),
        (b"RIFF", "a WebP picture or another RIFF file"),
        (b"BM", "a BMP picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a zip archive"),
        (b"<", "an HTML, SVG or XML document"),
    ];
    const SHOWN: usize = 8;
    let start = bytes.trim_ascii_start();
    if let Some((_, what)) = KNOWN
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic) || start.starts_with(magic))
    {
        return (*what).to_owned();
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return "an AVIF or HEIC picture, or a video".to_owned();
    }
    let first = &bytes[..bytes.len().min(SHOWN)];
    if first
        .iter()
        .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
    {
        return format!("text starting with {:?}", String::from_utf8_lossy(first));
    }
    let hex: Vec<String> = first.iter().map(|b| format!("{b:02x}")).collect();
    format!("data starting with bytes {}", hex.join(" "))
}
