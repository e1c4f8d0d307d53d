//! What comes from outside and is shown to a person: names, claims, messages. None of it may drive the terminal, or look
//! like something that it is not.

/// Text in which every character that is not seen, or that moves others about, is written as its number.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// As [`printable`], with its line ends as they are.
pub(super) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// JSON of the same meaning, in which such characters are escaped. Outside its strings it has none.
pub(super) fn printable_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if is_hidden(c) {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        out
    })
}

/// Whether a character is a control (C0, DEL, C1), changes the direction of text, or takes no room by itself. Accents
/// and other marks on a letter are none of these.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown_by_their_numbers_and_text_is_left_alone() {
        assert_eq!(printable("\u{1b}[2J\u{9b}\u{7f}"), r"\u{1b}[2J\u{9b}\u{7f}");
        assert_eq!(printable("a\u{202e}b\u{200b}c\u{feff}"), r"a\u{202e}b\u{200b}c\u{feff}");
        for text in ["@turnkey/session/v3", "café", "cafe\u{301}", "Ünïcødé", "日本語", "🦀", "a\\b\"c"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable_lines("a\nb\r\nc"), "a\nb\\u{d}\nc");
    }

    #[test]
    fn json_means_the_same() {
        for text in ["a\u{202e}b\u{200b}c\u{9b}", "\u{e0041}\u{7f}", "plain"] {
            let json = printable_json(&serde_json::to_string(text).unwrap());
            assert!(!json.chars().any(is_hidden), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
