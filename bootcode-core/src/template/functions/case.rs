//! Upper and lower case, and the words of a text.

use super::{Function, function};

pub(super) const FUNCTIONS: &[Function] = &[
    function("upper TEXT", |a| a.make(a.text(0)?.chars().map(upper).collect::<String>())),
    function("lower TEXT", |a| a.make(a.text(0)?.chars().map(lower).collect::<String>())),
    function("title TEXT", |a| a.make(at_starts(a.text(0)?, separates, upper))),
    function("untitle TEXT", |a| a.make(at_starts(a.text(0)?, char::is_whitespace, lower))),
    function("swapcase TEXT", |a| a.make(swapped(a.text(0)?))),
    function("initials TEXT", |a| {
        a.make(a.text(0)?.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>())
    }),
    function("snakecase TEXT", |a| a.make(words_joined(a.text(0)?, '_'))),
    function("kebabcase TEXT", |a| a.make(words_joined(a.text(0)?, '-'))),
    function("camelcase TEXT", |a| a.make(camel(a.text(0)?))),
];

/// Go maps a character to one character: `ß` has no capital.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

/// The text with each first character of a word mapped.
fn at_starts(text: &str, separates: fn(char) -> bool, map: fn(char) -> char) -> String {
    let mut before = true;
    text.chars()
        .map(|c| {
            let first = before && !separates(c);
            before = separates(c);
            if first { map(c) } else { c }
        })
        .collect()
}

/// What Go's `strings.Title` takes for the end of a word.
fn separates(c: char) -> bool {
    if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() }
}

/// goutils' words: the first letter of each becomes a capital, whatever is large becomes small, the rest large.
fn swapped(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            if c.is_uppercase() {
                start = false;
                lower(c)
            } else if c.is_lowercase() {
                start = false;
                upper(c)
            } else {
                start = c.is_whitespace();
                c
            }
        })
        .collect()
}

fn connects(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// xstrings' camel case, the first letter a capital.
fn camel(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let leading = characters.iter().take_while(|c| connects(**c)).count();
    let mut out: String = characters[..leading].iter().collect();
    let Some(first) = characters.get(leading) else { return out };
    let mut last = upper(*first);
    for c in &characters[leading + 1..] {
        if connects(*c) && connects(last) {
            out.push(last);
            last = *c;
        } else if connects(last) {
            last = upper(*c);
        } else {
            out.push(last);
            last = lower(*c);
        }
    }
    out.push(last);
    out
}

/// What xstrings takes for a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn kind(c: char) -> Word {
    match c {
        c if connects(c) => Word::Connector,
        c if c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c) => Word::Punctuation,
        c if c.is_uppercase() => Word::Upper,
        c if c.is_alphabetic() => Word::Letters,
        c if c.is_numeric() => Word::Number,
        _ => Word::Other,
    }
}

/// The first word, and what is behind it.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else { return (Word::None, "", "") };
    let of = kind(first);
    let run = |keep: fn(Word) -> bool, from: usize| {
        text[from..].find(|c| !keep(kind(c))).map_or(text.len(), |n| from + n)
    };
    let end = match of {
        Word::Upper => {
            let capitals = run(|word| word == Word::Upper, 0);
            let behind = text[capitals..].chars().next();
            if text[..capitals].chars().count() == 1 {
                run(|word| word == Word::Letters, capitals)
            } else if behind.is_some_and(|c| kind(c) == Word::Letters) {
                // `HTTPStatus` is `HTTP` and `Status`.
                capitals - text[..capitals].chars().next_back().map_or(0, char::len_utf8)
            } else {
                capitals
            }
        }
        Word::Letters => run(|word| word == Word::Letters, 0),
        Word::Number => run(|word| word == Word::Number, 0),
        Word::Connector => run(|word| word == Word::Connector, 0),
        Word::Punctuation => run(|word| word == Word::Punctuation, 0),
        Word::Other | Word::None => run(|word| word == Word::Other, 0),
    };
    (of, &text[..end], &text[end..])
}

/// xstrings' snake and kebab case.
fn words_joined(text: &str, connector: char) -> String {
    let mut out = String::new();
    let push = |out: &mut String, of: Word, word: &str| match of {
        Word::Upper | Word::Connector => {
            out.extend(word.chars().map(|c| if connects(c) { connector } else { lower(c) }));
        }
        _ => out.push_str(word),
    };
    let joins = |of: Word| !matches!(of, Word::None | Word::Connector | Word::Punctuation);
    let (mut of, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if of != Word::Connector {
            push(&mut out, of, word);
        }
        let (previous, last) = (of, word);
        (of, word, rest) = next_word(rest);
        match previous {
            Word::Number => {
                while matches!(of, Word::Letters | Word::Number) {
                    push(&mut out, of, word);
                    (of, word, rest) = next_word(rest);
                }
                if joins(of) {
                    out.push(connector);
                }
            }
            Word::Connector => push(&mut out, previous, last),
            Word::Punctuation => {}
            _ if of != Word::Number => {
                if joins(of) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (of, word, rest) = next_word(rest);
                if of == Word::Letters {
                    // `HTTP2xx` is `http_2xx`.
                    out.push(connector);
                    push(&mut out, Word::Number, number);
                    while matches!(of, Word::Letters | Word::Number) {
                        push(&mut out, of, word);
                        (of, word, rest) = next_word(rest);
                    }
                    if joins(of) {
                        out.push(connector);
                    }
                } else {
                    // `Bld4Floor` is `bld4_floor`.
                    push(&mut out, Word::Number, number);
                    if of != Word::Connector && of != Word::Punctuation {
                        out.push(connector);
                    }
                }
            }
        }
    }
    push(&mut out, of, word);
    out
}
