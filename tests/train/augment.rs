//! Random changes of pictures.

use std::borrow::Cow;
use std::collections::BTreeSet;

use pvt_cuda::config::Interpolation;
use pvt_cuda::picture::Picture;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::augment::augment;
use pvt_cuda::train::{Augment, Fill};

const SIZE: ImageSize = ImageSize {
    height: 5,
    width: 7,
};

/// Every pixel is another colour, and none is black.
fn picture(size: ImageSize) -> Picture {
    let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x)));
    let byte = |v: usize| u8::try_from(v + 1).unwrap();
    let rgb = pixels.flat_map(|(y, x)| [byte(y), byte(x), 200]);
    Picture::from_rgb(size, rgb.collect()).unwrap()
}

fn changed(changes: &Augment, seed: u64, at: (u32, u32)) -> Picture {
    let form = (SIZE, Interpolation::Bilinear);
    augment(Cow::Owned(picture(SIZE)), changes, form, seed, at)
        .unwrap()
        .into_owned()
}

fn pixel(picture: &Picture, y: usize, x: usize) -> [u8; 3] {
    let at = (y * picture.size().width + x) * 3;
    picture.rgb()[at..at + 3].try_into().unwrap()
}

#[test]
fn without_changes_the_picture_is_not_copied() {
    let same = picture(SIZE);
    let form = (SIZE, Interpolation::Bilinear);
    let out = augment(Cow::Borrowed(&same), &Augment::default(), form, 1, (0, 0)).unwrap();
    assert!(matches!(out, Cow::Borrowed(_)));
}

#[test]
fn shifts_move_every_pixel_by_the_same_and_reach_every_offset() {
    let before = picture(SIZE);
    for fill in [Fill::Black, Fill::Edge] {
        let changes = Augment {
            shift: 2,
            fill,
            ..Augment::default()
        };
        let mut seen = BTreeSet::new();
        for index in 0..400 {
            let after = changed(&changes, 1, (0, index));
            let moved = |down: i64, right: i64| {
                (0i64..5).all(|y| {
                    (0i64..7).all(|x| {
                        let (v, u) = (y - down, x - right);
                        let inside = (0..5).contains(&v) && (0..7).contains(&u);
                        let at = |v: i64, most: i64| usize::try_from(v.clamp(0, most)).unwrap();
                        let expected = match fill {
                            Fill::Black if !inside => [0; 3],
                            _ => pixel(&before, at(v, 4), at(u, 6)),
                        };
                        pixel(&after, at(y, 4), at(x, 6)) == expected
                    })
                })
            };
            let offsets = (-2..=2).flat_map(|d| (-2..=2).map(move |r| (d, r)));
            let found: Vec<_> = offsets.filter(|&(d, r)| moved(d, r)).collect();
            assert_eq!(found.len(), 1, "{fill} {index}");
            seen.insert(found[0]);
        }
        assert_eq!(seen.len(), 25, "every offset turns up");
    }
}

#[test]
fn a_shift_beyond_the_picture_is_black_or_its_edge() {
    let changes = Augment {
        shift: u32::MAX,
        ..Augment::default()
    };
    assert!(changed(&changes, 1, (0, 0)).rgb().iter().all(|v| *v == 0));
    let edge = Augment {
        fill: Fill::Edge,
        ..changes
    };
    let rgb = changed(&edge, 1, (0, 0));
    assert!(
        rgb.rgb()
            .chunks(3)
            .all(|p| p == &rgb.rgb()[..3] && p[2] == 200)
    );
}

#[test]
fn half_of_the_pictures_are_mirrored() {
    let changes = Augment {
        flip: true,
        ..Augment::default()
    };
    let (before, mut mirrored) = (picture(SIZE), 0);
    for index in 0..1000 {
        let after = changed(&changes, 4, (0, index));
        let is_mirror =
            (0..5).all(|y| (0..7).all(|x| pixel(&after, y, x) == pixel(&before, y, 6 - x)));
        assert!(is_mirror || after == before);
        mirrored += usize::from(is_mirror);
    }
    assert!((420..580).contains(&mirrored), "{mirrored}");
}

#[test]
fn parts_have_the_area_and_the_ratio_asked_for() {
    let from = ImageSize {
        height: 120,
        width: 160,
    };
    let size = ImageSize::square(240);
    let changes = Augment {
        crop: Some(0.3),
        ..Augment::default()
    };
    // red is the row and green the column, so the corners tell what was cut out
    let mut corners = BTreeSet::new();
    for index in 0..200 {
        let form = (size, Interpolation::Bilinear);
        let part = augment(Cow::Owned(picture(from)), &changes, form, 9, (3, index)).unwrap();
        assert_eq!(part.size(), size);
        let (first, last) = (pixel(&part, 0, 0), pixel(&part, 239, 239));
        let height = f64::from(last[0] - first[0]) + 1.0;
        let width = f64::from(last[1] - first[1]) + 1.0;
        // rounding to whole pixels moves the sides by half a pixel, resizing the corners by one
        assert!(
            height * width > 0.3 * 120.0 * 160.0 * 0.95,
            "{height} x {width}"
        );
        assert!(
            (0.72..1.39).contains(&(height / width)),
            "{height} x {width}"
        );
        corners.insert(first);
    }
    assert!(corners.len() > 150, "{}", corners.len());
}

#[test]
fn a_part_of_a_strip_is_its_middle() {
    let changes = Augment {
        crop: Some(1.0),
        ..Augment::default()
    };
    let strip = picture(ImageSize {
        height: 10,
        width: 90,
    });
    let form = (ImageSize::square(10), Interpolation::Bilinear);
    let part = augment(Cow::Owned(strip), &changes, form, 9, (0, 0)).unwrap();
    assert_eq!(pixel(&part, 0, 0), [1, 41, 200]);
    assert_eq!(pixel(&part, 9, 9), [10, 50, 200]);
}

#[test]
fn changes_depend_on_seed_epoch_and_picture_alone() {
    let all = Augment {
        crop: Some(0.5),
        shift: 2,
        fill: Fill::Edge,
        flip: true,
    };
    let some: Vec<Picture> = (0..50).map(|i| changed(&all, 1, (2, i))).collect();
    let again: Vec<Picture> = (0..50).rev().map(|i| changed(&all, 1, (2, i))).collect();
    assert!(some.iter().eq(again.iter().rev()));
    let differ = |seed, epoch| {
        (0..50)
            .filter(|&i| changed(&all, seed, (epoch, i)) != some[i as usize])
            .count()
    };
    assert!(differ(2, 2) > 40 && differ(1, 3) > 40);
    // an option does not move the others: the same pictures are mirrored with a shift and without
    let flip = Augment {
        flip: true,
        ..Augment::default()
    };
    let both = Augment {
        shift: 1,
        fill: Fill::Edge,
        ..flip
    };
    for index in 0..40 {
        let row = |p: &Picture| (0..7).map(|x| pixel(p, 2, x)[1]).collect::<Vec<_>>();
        let rises = |row: Vec<u8>| row.first() < row.last();
        let (a, b) = (changed(&flip, 1, (0, index)), changed(&both, 1, (0, index)));
        assert_eq!(rises(row(&a)), rises(row(&b)));
    }
}
