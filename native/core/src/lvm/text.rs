//! The text of LVM2 metadata: nested sections of keys with numbers, strings and lists.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Sections deeper than this are in no metadata: group, volumes, volume, segment.
const MOST_LEVELS: usize = 16;

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number; of a fraction the whole part.
    Number(u64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A section.
    Section(Section),
}

/// Keys and what stands behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section(pub BTreeMap<String, Value>);

impl Section {
    /// The number behind a key.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The string behind a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The list behind a key; a single value is a list of one.
    pub fn list(&self, key: &str) -> &[Value] {
        match self.0.get(key) {
            Some(Value::List(values)) => values,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// The section behind a key.
    pub fn section(&self, key: &str) -> Option<&Section> {
        match self.0.get(key) {
            Some(Value::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// The sections in this one, by name.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }
}

/// Reads a whole text; `None` where it does not follow the grammar.
pub fn parse(text: &str) -> Option<Section> {
    let mut parser = Parser { rest: text.chars().peekable() };
    let section = parser.section(0)?;
    parser.rest.peek().is_none().then_some(section)
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Parser<'_> {
    fn skip_blank(&mut self) {
        while let Some(&next) = self.rest.peek() {
            match next {
                '#' => while self.rest.next_if(|&next| next != '\n').is_some() {},
                // The text is written with a NUL behind it.
                _ if next.is_whitespace() || next == '\0' => _ = self.rest.next(),
                _ => break,
            }
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.skip_blank();
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Reads keys up to the end of the section, whose closing brace is left.
    fn section(&mut self, level: usize) -> Option<Section> {
        let mut section = Section::default();
        if level > MOST_LEVELS {
            return None;
        }
        loop {
            self.skip_blank();
            if self.rest.peek().is_none_or(|&next| next == '}') {
                return Some(section);
            }
            let key = if self.rest.peek() == Some(&'"') { self.string()? } else { self.word()? };
            let value = if self.takes('=') {
                self.value()?
            } else if self.takes('{') {
                let inner = self.section(level + 1)?;
                self.rest.next_if_eq(&'}')?;
                Value::Section(inner)
            } else {
                return None;
            };
            section.0.insert(key, value);
        }
    }

    fn value(&mut self) -> Option<Value> {
        if !self.takes('[') {
            return self.single();
        }
        let mut values = Vec::new();
        while !self.takes(']') {
            values.push(self.single()?);
            self.takes(',');
        }
        Some(Value::List(values))
    }

    fn single(&mut self) -> Option<Value> {
        self.skip_blank();
        if self.rest.peek() == Some(&'"') {
            return self.string().map(Value::Text);
        }
        let word = self.word()?;
        let whole = word.split('.').next().unwrap_or_default();
        // Negative numbers are read and mean nothing here.
        let number = whole.parse::<i64>().ok()?;
        Some(Value::Number(u64::try_from(number).unwrap_or(0)))
    }

    fn word(&mut self) -> Option<String> {
        let ends = |next: char| next.is_whitespace() || "={}[],\"#\0".contains(next);
        let mut word = String::new();
        while let Some(next) = self.rest.next_if(|&next| !ends(next)) {
            word.push(next);
        }
        (!word.is_empty()).then_some(word)
    }

    fn string(&mut self) -> Option<String> {
        self.rest.next_if_eq(&'"')?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.rest.next()?),
                other => text.push(other),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sections_lists_and_comments_are_read() {
        let text =
            "vg {\n# note {\nid = \"a\\\"b\"\nseqno = 7\nstripes = [\n\"pv0\", 0\n]\nx { }\n}\n";
        let parsed = parse(text).unwrap();
        let group = parsed.section("vg").unwrap();
        assert_eq!(group.text("id"), Some("a\"b"));
        assert_eq!(group.number("seqno"), Some(7));
        assert_eq!(group.list("stripes"), [Value::Text("pv0".into()), Value::Number(0)]);
        assert_eq!(group.sections().count(), 1);
        assert_eq!(parsed.sections().count(), 1);
    }

    #[test]
    fn what_does_not_follow_the_grammar_is_refused() {
        for text in ["a", "a {", "a = ", "a = [", "a = [ = ]", "a = \"", "}", "a = b"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"a {".repeat(100_000)), None);
        assert_eq!(parse(""), Some(Section::default()));
    }
}
