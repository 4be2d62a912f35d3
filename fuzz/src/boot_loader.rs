use bootcode_core::{arch::Arch, loader};

/// Between the values of an input: no value holds it, being a control character.
const BETWEEN: char = '\u{1e}';

/// Whatever documents hold, a boot loader's configuration has the lines and words of the one with harmless values, or is refused.
pub fn boot_loader(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut values = text.split(BETWEEN);
    let machine = values.next().unwrap_or("word");
    let arguments: Vec<String> = values.map(str::to_owned).collect();
    let harmless: Vec<String> = arguments.iter().map(|_| "word".to_owned()).collect();
    if let Ok(text) = loader::pxelinux(machine, Arch::X86_64, &arguments) {
        let plain = loader::pxelinux("word", Arch::X86_64, &harmless).expect("plain words");
        assert_eq!(words_of_lines(&text), words_of_lines(&plain), "{text}");
    }
    if let Ok(text) = loader::grub(machine, None, &arguments) {
        let plain = loader::grub("word", None, &harmless).expect("plain words");
        assert_eq!(words_of_lines(&text), words_of_lines(&plain), "{text}");
        // In single quotes nothing but their end means anything to GRUB.
        assert_eq!(outside_quotes(&text), outside_quotes(&plain), "{text}");
    }
    if let Ok(text) = loader::command_line(&arguments) {
        assert_eq!(text.split(' ').count(), arguments.len().max(1), "{text}");
        assert_eq!(text.find(char::is_control), Some(text.len() - 1), "{text}");
    }
}

fn words_of_lines(text: &str) -> Vec<usize> {
    text.split(['\n', '\r', '\u{b}', '\u{c}']).map(|line| line.split_whitespace().count()).collect()
}

fn outside_quotes(text: &str) -> String {
    text.split('\'').step_by(2).collect()
}
