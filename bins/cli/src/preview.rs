//! What a client would be told, and why.

use std::net::Ipv4Addr;

use bootcode_api::{ClientError, OperatorClient, routes::Problem};
use bootcode_core::{
    arch::ClientArch,
    mac::MacAddr,
    preview::{Asked, Preview, PreviewAsk, PreviewReply, Program},
};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    arguments::Format,
    error::CliError,
    show,
    terminal::{Form, GREEN, RED, wrap},
};

/// A client as the command line describes it.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// The MAC of the interface that asks.
    #[arg(long)]
    mac: MacAddr,
    /// Its architecture (option 93): a number of IANA's registry, or a name such as bios, x64-efi, x64-efi-http, arm64-efi, ia32-efi.
    #[arg(long)]
    arch: Option<ClientArch>,
    /// Which program asks; without it what --arch and the classes make of it: UEFI HTTP boot, iPXE, else PXE firmware.
    #[arg(long, value_enum)]
    program: Option<Sends>,
    /// Option 60 instead of the program's own, such as U-Boot.armv8.
    #[arg(long, value_name = "TEXT")]
    vendor_class: Option<String>,
    /// Option 77 instead of the program's own: iPXE says iPXE.
    #[arg(long, value_name = "TEXT")]
    user_class: Option<String>,
    /// What it asks.
    #[arg(long, value_enum, default_value_t)]
    message: Message,
    /// The address that it would like, asks for or has; without it a REQUEST is for what it would be offered.
    #[arg(long)]
    ip: Option<Ipv4Addr>,
    /// The Network that it asks from; without it the one of the server's interface.
    #[arg(long, value_name = "NAME", conflicts_with = "relay")]
    network: Option<String>,
    /// The relay agent that passes it on (giaddr).
    #[arg(long, value_name = "GIADDR")]
    relay: Option<Ipv4Addr>,
    /// The link that the relay agent names (82.5), where its own address is not on it.
    #[arg(long, value_name = "ADDRESS", requires = "relay")]
    link: Option<Ipv4Addr>,
}

/// The program whose options are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sends {
    /// PXE firmware.
    Firmware,
    /// UEFI HTTP boot.
    Httpboot,
    /// iPXE.
    Ipxe,
    /// An operating system.
    Os,
}

/// The message that is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Message {
    /// DHCPDISCOVER.
    #[default]
    Discover,
    /// DHCPREQUEST that answers the offer.
    Request,
    /// DHCPREQUEST for a remembered address.
    InitReboot,
    /// DHCPREQUEST for the address that it has.
    Renew,
    /// DHCPREQUEST to port 4011, for boot information alone.
    BootServer,
}

/// Columns of the titles.
const TITLE: usize = 10;

/// Asks the server and shows its answer.
pub(crate) async fn preview(
    client: &OperatorClient,
    asking: Client,
    format: Format,
    form: Form,
) -> Result<(), CliError> {
    if asking.arch.is_none() && asking.vendor_class.is_none() && asking.program != Some(Sends::Os) {
        let message =
            "a boot client says its architecture: name it with --arch, or use --program os".to_owned();
        return Err(CliError::Usage { message });
    }
    let preview = client.preview_boot(&asking.into()).await.map_err(|error| match error {
        ClientError::Problem(Problem::Rejected { message }) => CliError::Usage { message },
        error => error.into(),
    })?;
    match format {
        Format::Table => show::bytes(text(&preview, form).as_bytes())?,
        format => show::value(&json!(preview), format)?,
    }
    if preview.is_answered() { Ok(()) } else { Err(CliError::NotAnswered) }
}

impl From<Client> for PreviewAsk {
    fn from(client: Client) -> Self {
        Self {
            mac: client.mac,
            arch: client.arch,
            program: match client.program {
                None => Program::Auto,
                Some(Sends::Firmware) => Program::Firmware,
                Some(Sends::Httpboot) => Program::Httpboot,
                Some(Sends::Ipxe) => Program::Ipxe,
                Some(Sends::Os) => Program::Os,
            },
            vendor_class: client.vendor_class,
            user_class: client.user_class,
            message: match client.message {
                Message::Discover => Asked::Discover,
                Message::Request => Asked::Request,
                Message::InitReboot => Asked::InitReboot,
                Message::Renew => Asked::Renew,
                Message::BootServer => Asked::BootServer,
            },
            ip: client.ip,
            network: client.network,
            relay: client.relay,
            link: client.link,
        }
    }
}

/// The whole path, a line or more each.
fn text(preview: &Preview, form: Form) -> String {
    let mut page = Page { text: String::new(), form };
    let client = &preview.client;
    page.put("Client", &format!("{} sends {}", client.mac, client.message));
    match client.stage {
        Some(stage) => page.put("Stage", &format!("{}, by {}", show::text(&json!(stage)), client.stage_by)),
        None => page.put("Stage", &format!("no boot client: {}", client.stage_by)),
    }
    let name = client.arch_name.as_deref().unwrap_or("not in the registry");
    match client.arch {
        Some(arch) => page.put("Arch", &format!("{} ({name}), by {}", arch.0, client.arch_by)),
        None => page.put("Arch", &format!("none: {}", client.arch_by)),
    }
    match &preview.network {
        Some(network) => {
            let mode = show::text(&json!(network.mode));
            page.put(
                "Network",
                &format!("{} ({}), DHCP {mode}, by {}", network.name, network.cidr, network.by),
            );
        }
        None => page.put("Network", "none"),
    }
    match &preview.hardware {
        Some(hardware) => {
            let interface = hardware.interface.as_deref().unwrap_or("of no interface");
            let ip = hardware.ip.map_or("no reservation".to_owned(), |ip| ip.to_string());
            let netboot = if hardware.netboot { "netboot" } else { "no netboot" };
            page.put("Hardware", &format!("{}, interface {interface}, {ip}, {netboot}", hardware.name));
        }
        None => page.put("Hardware", "none names this MAC"),
    }
    page.some("Unknown", preview.unknown.as_deref());
    page.some("Pool", preview.pool.as_deref());
    if let Some(plan) = &preview.plan {
        page.put("Plan", &format!("{}: {}", plan.step, plan.what));
        page.put("Because", &plan.why);
    }
    for step in &preview.before {
        page.put("Before", step);
    }
    match &preview.reply {
        Some(reply) => reply_text(&mut page, reply, preview.refusal.is_none()),
        None => page.put("Reply", &form.paint(RED, "none: silence")),
    }
    if let Some(refusal) = &preview.refusal {
        let reason = refusal.reason.map_or(String::new(), |reason| format!("{}: ", reason.name()));
        page.put("Refused", &format!("{reason}{}", refusal.message));
        page.some("Remedy", refusal.remedy.as_deref());
    }
    page.text
}

fn reply_text(page: &mut Page, reply: &PreviewReply, is_answer: bool) {
    let message = page.form.paint(if is_answer { GREEN } else { RED }, &reply.message);
    page.put("Reply", &format!("{message} to {}, {} bytes", reply.to, reply.bytes));
    page.put("", &format!("yiaddr {}, siaddr {}", reply.yiaddr, reply.siaddr));
    page.put("", &format!("file {}", reply.file.as_deref().unwrap_or("none")));
    for (n, option) in reply.options.iter().enumerate() {
        let title = if n == 0 { "Options" } else { "" };
        page.at(title, &format!("{:>3} {:<18}", option.code, option.name), &option.value);
    }
    if !reply.left_out.is_empty() {
        let codes: Vec<_> = reply.left_out.iter().map(u8::to_string).collect();
        page.put("Left out", &format!("{}: they do not fit into what it takes", codes.join(" ")));
    }
}

/// Titles on the left, texts beside them, broken at the page's width.
struct Page {
    text: String,
    form: Form,
}

impl Page {
    fn put(&mut self, title: &str, text: &str) {
        self.at(title, "", text);
    }

    fn some(&mut self, title: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(title, text);
        }
    }

    /// `head` stands before the first line only.
    fn at(&mut self, title: &str, head: &str, text: &str) {
        let indent = TITLE + head.chars().count();
        let lines = wrap(text, self.form.width.saturating_sub(indent));
        let first = format!("{title:<TITLE$}{head}");
        let blank = " ".repeat(indent);
        for (n, line) in lines.iter().map(String::as_str).chain(lines.is_empty().then_some("")).enumerate() {
            let before = if n == 0 { &first } else { &blank };
            self.text.push_str(format!("{before}{line}").trim_end());
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server answers, less what does not matter to how it looks.
    fn text_of(value: serde_json::Value) -> String {
        let preview: Preview = serde_json::from_value(value).unwrap();
        let text = text(&preview, Form { width: 80, colours: false });
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "more than 80 columns: {wide:#?}");
        text
    }

    #[test]
    fn the_whole_path_fits_80_columns() {
        let client = json!({"mac": "52:54:00:00:00:01", "message": "DISCOVER", "stage": "http-boot",
            "stageBy": "option 60 `HTTPClient:Arch:00016:UNDI:003016`", "arch": 16, "archName": "x64 UEFI, HTTP", "archBy": "option 93"});
        let network = json!({"name": "lab", "cidr": "192.168.99.0/24", "mode": "authoritative",
            "by": "its name; no interface is in it, so that only relays bring its clients here"});
        let url = "http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe";
        let answered = json!({"client": client, "network": network,
            "hardware": {"name": "node-1", "interface": "nic0", "ip": "192.168.99.11", "netboot": true},
            "pool": "it may have 192.168.99.100",
            "plan": {"step": "script", "what": format!("{url}, which boots OSIE"), "why": "Workflow `install` has work for it"},
            "before": ["the wire is asked whether 192.168.99.100 is free; this is what follows if it is"],
            "reply": {"message": "OFFER", "yiaddr": "192.168.99.11", "siaddr": "192.168.99.1", "file": url, "to": "255.255.255.255:68",
                "bytes": 312, "options": [{"code": 53, "name": "DHCP Msg Type", "value": "OFFER"},
                    {"code": 67, "name": "Bootfile-Name", "value": url}, {"code": 80, "name": "Rapid Commit", "value": ""},
                    {"code": 224, "name": "", "value": "5a ".repeat(60).trim()}], "leftOut": [119, 224]}});
        let silent = json!({"client": {"mac": "52:54:00:00:00:01", "message": "DISCOVER", "stage": null, "stageBy": "no option 60",
                "arch": null, "archName": null, "archBy": "neither option 93 nor option 60 says it"},
            "network": null, "hardware": null, "unknown": "unknown: ignore; it is neither answered nor listed", "plan": null, "reply": null,
            "refusal": {"reason": "unknown-network", "message": "no declared Network is on this link",
                "remedy": "no Network holds the relay 172.16.0.1: declare one whose `cidr` does, or have the relay name the link (82.5; --link)"}});
        insta::assert_snapshot!(format!("{}\n{}", text_of(answered), text_of(silent)));
    }
}
