//! A machine's timeline: one event a line, seconds since the machine's first packet of that boot.

use bootcode_api::OperatorClient;
use serde_json::Value;

use crate::{
    arguments::Format,
    error::{CliError, say},
    show::{self, text},
};

/// Prints a machine's timeline, and goes on where `follow` says so.
pub(crate) async fn show(
    client: &OperatorClient,
    hardware: &str,
    follow: bool,
    format: Format,
) -> Result<(), CliError> {
    let (mut from, mut rest) = (0, Vec::new());
    loop {
        let page = client.timeline(hardware, from, follow).await?;
        if page.bytes.is_empty() && !follow {
            if from == 0 {
                say(&format!("nothing was seen of {hardware} yet"));
            }
            return Ok(());
        }
        from = page.next;
        rest.extend_from_slice(&page.bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match format {
                Format::Json => show::bytes(&line)?,
                Format::Yaml => {
                    let event = serde_json::from_slice(&line).unwrap_or(Value::Null);
                    show::value(&Value::Array(vec![event]), Format::Yaml)?;
                }
                Format::Table => show::line(&human(&line))?,
            }
        }
    }
}

/// Prints the last events of a machine.
pub(crate) async fn last(client: &OperatorClient, hardware: &str, count: usize) -> Result<(), CliError> {
    let (mut from, mut bytes) = (0, Vec::new());
    loop {
        let page = client.timeline(hardware, from, false).await?;
        if page.bytes.is_empty() {
            break;
        }
        from = page.next;
        bytes.extend_from_slice(&page.bytes);
    }
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return show::line("nothing was seen of it yet");
    }
    for line in &lines[lines.len().saturating_sub(count)..] {
        show::line(&human(line))?;
    }
    Ok(())
}

/// `16:49:03.120  Offer  ip=192.168.99.11 file=..`: what tells the time and the machine goes first, the rest follows by name.
fn human(line: &[u8]) -> String {
    let Ok(Value::Object(event)) = serde_json::from_slice::<Value>(line) else {
        return String::from_utf8_lossy(line).trim_end().to_owned();
    };
    let at = event.get("at").map(text).unwrap_or_default();
    let time = at.split_once('T').map_or(at.as_str(), |(_, time)| time).trim_end_matches('Z');
    let time: String = time.chars().take(12).collect();
    let details: Vec<String> = event
        .iter()
        .filter(|(key, value)| {
            !["at", "machine", "event", "subject"].contains(&key.as_str()) && !value.is_null()
        })
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    let name = event.get("event").map(text).unwrap_or_default();
    format!("{time:<12}  {name:<16} {}", details.join(" ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn an_event_is_one_readable_line() {
        let line = br#"{"at":"2026-11-22T16:49:03.120456Z","machine":"node-1","event":"Offer","ip":"192.168.99.11","file":null}"#;
        assert_eq!(human(line), "16:49:03.120  Offer            ip=192.168.99.11");
        assert_eq!(human(b"not json\n"), "not json");
    }
}
