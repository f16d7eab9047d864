//! Findings, drawn for people: message, the lines of the file around the place, and the way out.

use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use crate::finding::{Finding, Severity, Source, Spot};

/// Findings that are drawn at most; the rest is counted.
const MAX_DRAWN: usize = 100;
/// Characters of a line that are shown around a place.
const MAX_LINE: usize = 120;
/// Lines that are shown before and after a place.
const AROUND: usize = 1;

/// Draws findings, each with an empty line after it, with colours for a terminal of this many columns.
pub fn draw(findings: &[Finding], width: usize) -> Result<String, fmt::Error> {
    let theme = GraphicalTheme::unicode();
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false).with_context_lines(AROUND);
    let mut text = String::new();
    for finding in findings.iter().take(MAX_DRAWN) {
        for drawn in Drawn::of(finding) {
            handler.render_report(&mut text, &drawn)?;
        }
        text.push('\n');
    }
    if findings.len() > MAX_DRAWN {
        text.push_str(&format!("and {} more; `-o json` gives all of them\n", findings.len() - MAX_DRAWN));
    }
    Ok(text)
}

/// A finding, or another place of one, in the form that is drawn.
#[derive(Debug)]
struct Drawn {
    message: String,
    severity: miette::Severity,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

impl Drawn {
    /// The finding at its first place, then its other places.
    fn of(finding: &Finding) -> Vec<Self> {
        let severity = match finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        };
        let mut spots = finding.spots.iter();
        let excerpt = spots.next().map(Excerpt::of);
        let help = finding.help.as_deref().map(str::to_owned);
        let mut drawn = vec![Self { message: finding.line(), severity, help, excerpt }];
        drawn.extend(spots.map(|spot| Self {
            message: spot.label.clone().unwrap_or_else(|| "and here".to_owned()),
            severity: miette::Severity::Advice,
            help: None,
            excerpt: Some(Excerpt::of(spot)),
        }));
        drawn
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Drawn {}

impl Diagnostic for Drawn {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, excerpt.span))))
    }
}

/// The lines around a place, long ones cut, since a line can hold a whole file as a data URL.
#[derive(Debug)]
struct Excerpt {
    source: Arc<Source>,
    text: String,
    /// Number of its first line, from 0.
    first_line: usize,
    /// The place in `text`.
    span: SourceSpan,
    /// Line of the place, from 0, and what was cut before it there, in characters.
    cut: (usize, usize),
}

impl Excerpt {
    fn of(spot: &Spot) -> Self {
        let source = Arc::clone(&spot.source);
        let (line, _) = source.position(spot.span.start);
        let (first, last) = (line.saturating_sub(AROUND).max(1), (line + AROUND).min(source.lines()));
        let (mut text, mut span, mut cut) = (String::new(), (0, 0), 0);
        for number in first..=last {
            let range = source.line(number).unwrap_or_default();
            let whole = source.text.get(range.clone()).unwrap_or_default();
            if number == line {
                let start = spot.span.start.saturating_sub(range.start).min(whole.len());
                let end = spot.span.end.saturating_sub(range.start).clamp(start, whole.len());
                let before = whole[..start].chars().count();
                // The place is shown with what leads to it, if that fits.
                let skip = if before > MAX_LINE * 2 / 3 { before - MAX_LINE / 3 } else { 0 };
                let from = whole.char_indices().nth(skip).map_or(whole.len(), |(at, _)| at);
                let shown = cut_end(&whole[from..]);
                let marked = text.len() + start - from;
                span = (marked, whole[start..end].trim_end().len().min(shown.len().saturating_sub(start - from)));
                cut = skip;
                text.push_str(&shown);
            } else {
                text.push_str(&cut_end(whole));
            }
            text.push('\n');
        }
        let length = span.1.max(usize::from(text[span.0..].chars().next().is_some_and(|c| c.is_ascii() && c != '\n')));
        Self { source, text, first_line: first - 1, span: (span.0, length).into(), cut: (line - 1, cut) }
    }
}

/// The beginning of a line.
fn cut_end(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.as_str().read_span(span, before, after)?;
        let line = inner.line() + self.first_line;
        let column = inner.column() + if line == self.cut.0 { self.cut.1 } else { 0 };
        let name = self.source.name.clone();
        let count = inner.line_count();
        Ok(Box::new(MietteSpanContents::new_named(name, inner.data(), *inner.span(), line, column, count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, span: std::ops::Range<usize>) -> String {
        let spot = Spot { source: Source::new("a.yaml", text), span, label: None };
        let text = draw(&[Finding::error("MachineConfig a", "is wrong").at(Some(spot))], 100).unwrap();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_place_is_shown_with_the_lines_around_it() {
        insta::assert_snapshot!(drawn("one: 1\ntwo: 2\nthree: 3\nfour: 4\n", 12..13));
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let text = format!("a: [{}, \"here\", {}]\n", "x".repeat(5000), "y".repeat(5000));
        let at = text.find("\"here\"").unwrap();
        let drawn = drawn(&text, at..at + 6);
        assert!(drawn.contains(&format!("a.yaml:1:{}", at + 1)), "{drawn}");
        assert!(drawn.contains("\"here\"") && drawn.len() < 1500, "{drawn}");
    }

    #[test]
    fn every_place_of_every_text_can_be_drawn() {
        for text in ["", "\n", "a", "a\r\nb", "ä: ö\n", "\u{1f980}\n\n", "a\tb\n"] {
            for (start, _) in text.char_indices().chain([(text.len(), ' ')]) {
                for (end, _) in text.char_indices().chain([(text.len(), ' ')]).filter(|(end, _)| *end >= start) {
                    drawn(text, start..end);
                }
            }
        }
    }
}
