//! The loop over the cells of a request.

/// Calls `$body` with the tag of each cell of `$cells` and with the matching element of each slice, which
/// begins at the lowest cell.
macro_rules! walk {
    ($cells:expr, |$tag:ident $(, $item:ident in $slice:ident)+| $body:block) => {
        if $cells.scattered {
            for (&place, &$tag) in $cells.places.iter().zip(&$cells.tags) {
                let place = place as usize;
                $(let $item = &mut $slice[place];)+
                $body
            }
        } else {
            let lowest = $cells.spans.first().map_or(0, |span| span.word);
            for span in &$cells.spans {
                let from = (span.word - lowest).cast_unsigned() as usize;
                let (at, count) = (span.at as usize, span.words as usize);
                let tags = &$cells.tags[at..at + count];
                $(let $slice = &mut $slice[from..from + count];)+
                for (index, &$tag) in tags.iter().enumerate() {
                    $(let $item = &mut $slice[index];)+
                    $body
                }
            }
        }
    };
}

pub(super) use walk;
