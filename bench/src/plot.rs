//! A line chart as a small SVG that can be read on light and dark pages: x logarithmic, y from 0.

use std::fmt::Write;

pub struct Chart<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub series: Vec<Series<'a>>,
}

pub struct Series<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 304.0;

/// The colours of Okabe and Ito, which colour-blind people can tell apart.
const STYLE: &str = "
    text { font: 13px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 15px; font-weight: 600 }
    .middle { text-anchor: middle } .end { text-anchor: end }
    .grid { stroke: #8884; stroke-width: 1 }
    polyline { fill: none; stroke-width: 2.5 }
    .s0 { stroke: #0072b2; fill: #0072b2 } .s1 { stroke: #d55e00; fill: #d55e00 } .s2 { stroke: #009e73; fill: #009e73 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .s0 { stroke: #56b4e9; fill: #56b4e9 } .s1 { stroke: #f0a050; fill: #f0a050 } .s2 { stroke: #3fc9a0; fill: #3fc9a0 }
    }";

impl Chart<'_> {
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let xs: Vec<f64> = self.series[0].points.iter().map(|point| point.0).collect();
        let (first, last) = (xs[0].ln(), xs[xs.len() - 1].ln());
        let x = |value: f64| LEFT + (RIGHT - LEFT) * (value.ln() - first) / (last - first);
        let step = tidy_step(points().fold(0.0, |most, point| point.1.max(most)));
        let most = (1..).map(|n| step * f64::from(n)).find(|y| points().all(|point| point.1 <= *y));
        let most = most.unwrap_or(step);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / most;

        let mut svg = String::new();
        let mut put = |line: String| writeln!(svg, "  {line}").unwrap();
        put(format!("<style>{STYLE}\n  </style>"));
        put(format!(r#"<text class="title" x="16" y="24">{}</text>"#, self.title));
        let mut value = 0.0;
        while value <= most * 1.001 {
            let y = y(value);
            put(format!(r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/>"#));
            put(format!(
                r#"<text class="end" x="{}" y="{:.1}">{value}</text>"#,
                LEFT - 8.0,
                y + 4.0
            ));
            value += step;
        }
        for value in &xs {
            let text = short(*value);
            put(format!(
                r#"<text class="middle" x="{:.1}" y="{}">{text}</text>"#,
                x(*value),
                BOTTOM + 20.0
            ));
        }
        let centre = f64::midpoint(LEFT, RIGHT);
        put(format!(
            r#"<text class="middle" x="{centre}" y="{}">{}</text>"#,
            HEIGHT - 12.0,
            self.x
        ));
        let centre = f64::midpoint(TOP, BOTTOM);
        put(format!(
            r#"<text class="middle" transform="translate(18 {centre}) rotate(-90)">{}</text>"#,
            self.y
        ));
        for (number, series) in self.series.iter().enumerate() {
            let place = |point: &(f64, f64)| format!("{:.1},{:.1}", x(point.0), y(point.1));
            let line: Vec<_> = series.points.iter().map(place).collect();
            // The polyline's own style leaves its inside empty; the dots are filled.
            put(format!(
                r#"<polyline class="s{number}" style="fill: none" points="{}"/>"#,
                line.join(" ")
            ));
            for point in &series.points {
                put(format!(
                    r#"<circle class="s{number}" cx="{:.1}" cy="{:.1}" r="3"/>"#,
                    x(point.0),
                    y(point.1)
                ));
            }
            let left = LEFT + 200.0 * number as f64;
            put(format!(r#"<path class="s{number}" stroke-width="2.5" d="M{left} 48h20"/>"#));
            put(format!(r#"<text x="{}" y="52">{}</text>"#, left + 26.0, series.name));
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n{svg}</svg>\n",
            self.title
        )
    }
}

/// 1, 2 or 5 times a power of ten, so that there are about five lines.
fn tidy_step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(power)
}

/// 1000 is 1k, ten million 10M.
fn short(number: f64) -> String {
    match number {
        1e6.. => format!("{}M", number / 1e6),
        1e3.. => format!("{}k", number / 1e3),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_numbers_are_short() {
        assert_eq!([23.0, 97.0, 100.0].map(tidy_step), [5.0, 20.0, 20.0]);
        assert_eq!([64.0, 1e4, 1e7].map(short), ["64", "10k", "10M"]);
    }
}
