//! A chart of uses and refusals: bars, drawn here, with the numbers in a table for whoever sees no bars.

use maud::{Markup, html};

use crate::admin::key::Key;
use crate::admin::uses::{Pair, Shown};
use crate::admin::visit::Desk;

/// In the units of the drawing.
const HEIGHT: u64 = 100;
const STEP: usize = 20;
const BAR: usize = 16;

pub fn of_key(desk: &Desk<'_>, key: &Key) -> Markup {
    both(desk, &desk.visit.admin.uses.of_key(&key.prefix), "key")
}

pub fn of_all(desk: &Desk<'_>) -> Markup {
    both(desk, &desk.visit.admin.uses.of_all(), "all")
}

fn both(desk: &Desk<'_>, shown: &Shown, id: &str) -> Markup {
    let texts = desk.visit.texts;
    html! {
        p { (texts.uses_how) }
        p .legend {
            span .accepted { (texts.accepted) } " "
            span .refused { (texts.refused) }
        }
        (chart(desk, &shown.hours, texts.last_hours, &format!("{id}-hours"), texts.hours_ago))
        (chart(desk, &shown.days, texts.last_days, &format!("{id}-days"), texts.days_ago))
    }
}

fn chart(
    desk: &Desk<'_>,
    pairs: &[Pair],
    title: &str,
    id: &str,
    ago: fn(usize) -> String,
) -> Markup {
    let texts = desk.visit.texts;
    let sum = |pair: &Pair| u64::from(pair[0]) + u64::from(pair[1]);
    let most = pairs.iter().map(sum).max().unwrap_or_default();
    let width = pairs.len() * STEP;
    // Whatever there is, is seen.
    let height = |count: u32| match count {
        0 => 0,
        count => (u64::from(count) * HEIGHT / most.max(1)).max(1),
    };
    let [accepted, refused] = pairs.iter().fold([0_u64; 2], |total, pair| {
        [total[0] + u64::from(pair[0]), total[1] + u64::from(pair[1])]
    });
    let busy = || pairs.iter().enumerate().filter(|(_, pair)| sum(pair) > 0);
    html! {
        figure .chart {
            figcaption id=(id) { (title) (texts.colon) ((texts.chart_sum)(accepted, refused)) }
            @if most > 0 {
                svg role="img" aria-labelledby=(id) viewBox={ "0 0 " (width) " " (HEIGHT + 4) }
                    preserveAspectRatio="none" {
                    line .axis x1="0" x2=(width) y1=(HEIGHT + 2) y2=(HEIGHT + 2) {}
                    @for (at, pair) in pairs.iter().enumerate() {
                        @let x = at * STEP + (STEP - BAR) / 2;
                        @let [good, bad] = pair.map(height);
                        @if good > 0 {
                            rect .accepted x=(x) width=(BAR) y=(HEIGHT - good.min(HEIGHT)) height=(good) {}
                        }
                        @if bad > 0 {
                            rect .refused x=(x) width=(BAR) y=(HEIGHT.saturating_sub(good + bad)) height=(bad) {}
                        }
                    }
                }
                p .ends { span { (ago(pairs.len() - 1)) } span { (texts.most) " " (most) } span { (texts.now) } }
                details {
                    summary { (texts.as_table) }
                    table {
                        thead { tr {
                            th scope="col" { (texts.when) }
                            th scope="col" { (texts.accepted) }
                            th scope="col" { (texts.refused) }
                        } }
                        tbody {
                            @for (at, pair) in busy() {
                                tr {
                                    th scope="row" { (ago(pairs.len() - 1 - at)) }
                                    td { (pair[0]) }
                                    td { (pair[1]) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
