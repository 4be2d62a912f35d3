use bootcode_core::ipxe;

/// Between the values of an input: no value holds it, being a control character.
const BETWEEN: char = '\u{1e}';

/// Whatever documents hold, a script has the lines and commands of the one with harmless values, or is refused.
pub fn ipxe_script(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut values = text.split(BETWEEN);
    let mut next = || values.next().unwrap_or("word");
    let (base_url, arch, hardware, again) = (next(), next(), next(), next());
    let arguments: Vec<String> = values.map(str::to_owned).collect();
    let harmless: Vec<String> = arguments.iter().map(|_| "word".to_owned()).collect();
    if let Ok(script) = ipxe::osie(base_url, arch, hardware, again, &arguments) {
        let plain = ipxe::osie("word", "word", "word", "word", &harmless).expect("plain words");
        same_commands(&script, &plain);
    }
    if let Ok(script) = ipxe::chain(base_url) {
        same_commands(&script, &ipxe::chain("word").expect("a plain word"));
    }
}

/// Line by line the same number of words, and the same operators between them; nothing that iPXE expands or leaves out.
fn same_commands(script: &str, plain: &str) {
    assert_eq!(lines(script), lines(plain), "{script}");
    assert!(script.starts_with("#!ipxe\n") && !script.contains("${") && !script.contains('\\'));
    assert_eq!(script.matches('#').count(), 1, "no comment hides the rest of a line: {script}");
}

fn lines(text: &str) -> Vec<(usize, Option<&str>, usize)> {
    text.split(['\n', '\r', '\u{b}', '\u{c}']).map(shape).collect()
}

/// How many words a line has, its command, and its operators.
fn shape(line: &str) -> (usize, Option<&str>, usize) {
    let words = || line.split_ascii_whitespace();
    (words().count(), words().next(), line.matches("||").count() + line.matches("&&").count())
}
