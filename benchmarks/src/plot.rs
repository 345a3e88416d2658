//! Plots as SVG: groups of horizontal bars on a logarithmic scale.

use std::fmt::Write;

/// One group of bars.
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// The lengths, in the order of the series; `None` leaves a gap.
    pub(crate) values: Vec<Option<f64>>,
}

/// Dark enough for white paper and light enough for a dark page.
const COLOURS: [&str; 5] = ["#1098ad", "#868e96", "#f76707", "#7950f2", "#37b24d"];
const WIDTH: f64 = 960.0;
const LEFT: f64 = 330.0;
const BAR: f64 = 13.0;
const GAP: f64 = 10.0;
const TOP: f64 = 60.0;

/// The plot; `unit` is written behind the title.
pub(crate) fn bars(title: &str, unit: &str, series: &[&str], groups: &[Group]) -> String {
    let values = groups.iter().flat_map(|group| group.values.iter().flatten().copied());
    let (smallest, largest) = values.fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    let low = 10_f64.powf(smallest.max(0.1).log10().floor());
    let high = (largest * 1.3).max(low * 10.0);
    let place = |value: f64| {
        LEFT + (value.max(low) / low).log10() / (high / low).log10() * (WIDTH - LEFT - 60.0)
    };
    let height = TOP + groups.len() as f64 * (BAR * series.len() as f64 + GAP) + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{}, {unit} (logarithmic)</text>\n",
        escaped(title)
    );
    for (index, name) in series.iter().enumerate() {
        let x = 10.0 + index as f64 * 180.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"44\">{}</text>",
            COLOURS[index % COLOURS.len()],
            x + 18.0,
            escaped(name)
        );
    }
    let mut line = low;
    while line <= high {
        for step in [1.0, 2.0, 5.0] {
            let value = line * step;
            if value <= high {
                let x = place(value);
                let _ = writeln!(
                    svg,
                    "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#dee2e6\"/>\
                     <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#495057\">{value}</text>",
                    height - 25.0,
                    height - 10.0
                );
            }
        }
        line *= 10.0;
    }
    let mut y = TOP + 4.0;
    for group in groups {
        let middle = y + BAR * series.len() as f64 / 2.0 + 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            escaped(&group.name)
        );
        for (index, value) in group.values.iter().enumerate() {
            if let Some(value) = value {
                let end = place(*value);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{value:.0}</text>",
                    (end - LEFT).max(1.0),
                    BAR - 2.0,
                    COLOURS[index % COLOURS.len()],
                    end + 4.0,
                    y + BAR - 4.0
                );
            }
            y += BAR;
        }
        y += GAP;
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_time_is_a_longer_bar() {
        let group = Group { name: "a < b".to_owned(), values: vec![Some(20.0), None, Some(200.0)] };
        let svg = bars("Title", "ns", &["x", "y", "z"], &[group]);
        assert!(svg.contains("a &lt; b"));
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("height=\"11\""))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!(widths[0] < widths[1]);
    }
}
