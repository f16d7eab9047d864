//! Contents of units, as far as Ignition reads them to decide whether they are units.
//!
//! Source of the rules: the reader of units that Ignition is built with, measured; systemd itself is stricter.

/// Longest line in bytes.
const LINE_MAX: usize = 2048;
/// Bytes that the reader looks ahead.
const BUFFER: usize = 4096;

/// The sections that have options, a name for each option, in order.
pub fn options(contents: &str) -> Result<Vec<String>, &'static str> {
    let mut reader = Reader { bytes: contents.as_bytes(), at: 0, filled: 0 };
    let mut options = Vec::new();
    let mut section: Option<String> = None;
    loop {
        reader.check_line()?;
        let Some(byte) = reader.peek() else { return Ok(options) };
        match (byte, &section) {
            (b'[', _) => section = Some(reader.section()?),
            (b'#' | b';', _) => reader.comment()?,
            (_, None) => reader.skip(),
            (_, Some(_)) if reader.at_space() => reader.skip(),
            (_, Some(name)) => {
                let name = name.clone();
                reader.option()?;
                options.push(name);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// End of what has been looked at so far, which is where long lines are noticed.
    filled: usize,
}

impl<'a> Reader<'a> {
    fn check_line(&self) -> Result<(), &'static str> {
        let ahead = self.bytes.get(self.at..self.filled).unwrap_or_default();
        match ahead.get(..LINE_MAX) {
            Some(line) if !line.iter().any(|byte| b"\r\n".contains(byte)) => {
                Err("a line of more than 2048 bytes; break it with a backslash at the end")
            }
            _ => Ok(()),
        }
    }

    fn fill(&mut self) {
        self.filled = self.bytes.len().min(self.at + BUFFER);
    }

    fn peek(&mut self) -> Option<u8> {
        if self.at + 4 > self.filled {
            self.fill_for_character();
        }
        self.bytes.get(self.at).copied()
    }

    fn fill_for_character(&mut self) {
        let ahead = self.bytes.get(self.at..self.filled).unwrap_or_default();
        if ahead.is_empty() || std::str::from_utf8(ahead).is_err() && ahead.first().is_some_and(|byte| *byte >= 0x80) {
            self.fill();
        }
    }

    fn character(&self) -> Option<char> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.utf8_chunks().next()?.valid().chars().next()
    }

    fn at_space(&self) -> bool {
        self.character().is_some_and(char::is_whitespace)
    }

    fn skip(&mut self) {
        self.at += self.character().map_or(1, char::len_utf8);
    }

    /// Everything up to and with the delimiter, or to the end.
    fn until(&mut self, delimiter: u8) -> (&'a [u8], bool) {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == delimiter).map(|at| at + 1);
        let end = start + length.unwrap_or(rest.len());
        while self.filled < end || (length.is_none() && self.filled < self.bytes.len()) {
            if self.filled >= self.at + BUFFER {
                self.at = self.filled;
            }
            self.fill();
        }
        self.at = end;
        (self.bytes.get(start..end).unwrap_or_default(), length.is_some())
    }

    fn line(&mut self) -> &'a [u8] {
        let (line, _) = self.until(b'\n');
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    fn section(&mut self) -> Result<String, &'static str> {
        self.at += 1;
        let (name, found) = self.until(b']');
        if !found {
            return Err("a section without its end; write [NAME]");
        }
        self.check_line()?;
        if !self.line().trim_ascii().is_empty() {
            return Err("text after the name of a section; write it on the next line");
        }
        Ok(String::from_utf8_lossy(name.strip_suffix(b"]").unwrap_or(name)).into_owned())
    }

    fn comment(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        self.check_line()?;
        loop {
            let line = self.line();
            if !line.strip_suffix(b" ").unwrap_or(line).ends_with(b"\\") {
                return Ok(());
            }
        }
    }

    fn option(&mut self) -> Result<(), &'static str> {
        self.check_line()?;
        loop {
            match self.peek() {
                None => return Err("an option without \"=\" at the end; write NAME=VALUE"),
                Some(b'\n' | b'\r') => return Err("a line that is neither [SECTION] nor NAME=VALUE"),
                Some(b'=') => break,
                Some(_) => self.skip(),
            }
        }
        self.at += 1;
        loop {
            self.check_line()?;
            let line = self.line();
            if line.trim_ascii().is_empty() || !line.ends_with(b"\\") {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::options;

    #[rstest]
    #[case::nothing("", &[])]
    #[case::section_without_options("[Install]\n", &[])]
    #[case::options("[Unit]\nA=b\n[Install]\nWantedBy=c", &["Unit", "Install"])]
    #[case::text_before_the_first_section("x\ny\n[A]\nb=c", &["A"])]
    #[case::comments("# a\n; b\n[A]\n#c\nd=e", &["A"])]
    #[case::comment_that_continues("#a\\\n[A]\nb=c", &[])]
    #[case::value_that_continues("[A]\nb=c\\\nd\ne=f", &["A", "A"])]
    #[case::space_around("[A]  \n  b = c", &["A"])]
    #[case::returns("[A]\r\nb=c\r\n", &["A"])]
    fn sections_of_options(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(options(text), Ok(expected.iter().map(|name| (*name).to_owned()).collect()));
    }

    #[rstest]
    #[case::open_section("[A")]
    #[case::text_after_a_section("[A] b\n")]
    #[case::neither_section_nor_option("[A]\nb\n")]
    #[case::cut_off_option("[A]\nb")]
    #[case::long_line_after_others(&format!("[A]\nb=c\nd={}\n", "x".repeat(3000)))]
    fn what_is_no_unit(#[case] text: &str) {
        assert!(options(text).is_err());
    }
}
