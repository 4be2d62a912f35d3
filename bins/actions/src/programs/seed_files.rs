//! The texts of cloud-init's NoCloud seed. Pure.
//!
//! All YAML here is written as JSON, which is YAML too: no name or key of a document can break out of its place.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::seed::SeedError;
use crate::metadata::{Interface, Metadata, PhoneHome};

/// The restriction to this seed: without it cloud-init asks the networks of every cloud first.
pub(super) const DATASOURCES: &str = "# Written by cloud-init-seed: this machine's data stands in /var/lib/cloud/seed/nocloud.\ndatasource_list: [NoCloud, None]\n";

/// What phoning home tells. Of the host keys those that every OpenSSH makes: cloud-init warns of each that is missing.
const POSTED: [&str; 5] = ["pub_key_ed25519", "pub_key_ecdsa", "instance_id", "hostname", "fqdn"];

/// `meta-data`.
pub(super) fn meta_data(metadata: &Metadata) -> String {
    let keys = &metadata.instance.ssh_keys;
    let mut value = json!({"instance-id": metadata.id, "local-hostname": metadata.hostname()});
    if !keys.is_empty() {
        value["public-keys"] = json!(keys);
    }
    format!("{value:#}\n")
}

/// `network-config`, version 2: the server's own, which knows bonds, VLANs and routes, else one made of the interfaces.
pub(super) fn network_config(metadata: &Metadata) -> Result<String, SeedError> {
    match &metadata.network_config {
        Some(served) => Ok(format!("{served:#}\n")),
        None => of_interfaces(&metadata.interfaces),
    }
}

/// Of interfaces told by their hardware address.
fn of_interfaces(interfaces: &[Interface]) -> Result<String, SeedError> {
    let mut ethernets = Map::new();
    for interface in interfaces {
        let mac = mac(interface)?;
        let mut entry = json!({"match": {"macaddress": mac}});
        match (interface.ip, interface.prefix) {
            (Some(ip), Some(prefix)) => {
                let most = if ip.is_ipv4() { 32 } else { 128 };
                if prefix > most {
                    return Err(SeedError::Prefix { interface: interface.id.clone(), prefix });
                }
                entry["addresses"] = json!([format!("{ip}/{prefix}")]);
                if let Some(gateway) = interface.gateway.filter(|gateway| *gateway != ip) {
                    let to = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
                    entry["routes"] = json!([{"to": to, "via": gateway}]);
                }
                if let Some(dns) = nameservers(interface) {
                    entry["nameservers"] = dns;
                }
            }
            (Some(_), None) => return Err(SeedError::NoPrefix { interface: interface.id.clone() }),
            (None, _) => {
                entry["dhcp4"] = json!(interface.netboot);
                entry["optional"] = json!(true);
            }
        }
        if ethernets.insert(interface.id.clone(), entry).is_some() {
            return Err(SeedError::Twice { interface: interface.id.clone() });
        }
    }
    Ok(format!("{:#}\n", json!({"version": 2, "ethernets": ethernets})))
}

/// `user-data`: the phone-home, and beside it whatever the owner declared, unchanged (MIME, as cloud-init takes it: a
/// script stays a script). The first part wins where both say something.
pub(super) fn user_data(metadata: &Metadata) -> Result<String, SeedError> {
    let mut ours = Map::new();
    if let Some(phone_home) = &metadata.phone_home {
        let call = json!({"url": with_token(phone_home)?, "post": POSTED, "tries": 10});
        ours.insert("phone_home".into(), call);
    }
    let ours = format!("#cloud-config\n{:#}\n", Value::Object(ours));
    let theirs = metadata.instance.user_data.as_deref().map(str::trim_start).filter(|text| !text.is_empty());
    let Some(theirs) = theirs else { return Ok(ours) };
    let kind = content_type(theirs)?;
    let boundary = boundary(&[&ours, theirs]);
    let part = |kind: &str, name: &str, text: &str| {
        format!(
            "--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\
             Content-Disposition: attachment; filename=\"{name}\"\n\n{text}\n"
        )
    };
    Ok(format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        part("text/cloud-config", "phone-home.cfg", &ours),
        part(kind, "user-data", theirs),
    ))
}

/// cloud-init's own table of first lines.
fn content_type(text: &str) -> Result<&'static str, SeedError> {
    let first = text.lines().next().unwrap_or_default();
    let table = [
        ("## template: jinja", "text/jinja2"),
        ("#cloud-config-archive", "text/cloud-config-archive"),
        ("#cloud-config", "text/cloud-config"),
        ("#cloud-boothook", "text/cloud-boothook"),
        ("#include-once", "text/x-include-once-url"),
        ("#include", "text/x-include-url"),
        ("#!", "text/x-shellscript"),
        ("#part-handler", "text/part-handler"),
    ];
    let found = table.iter().find(|(begin, _)| first.starts_with(begin));
    found.map(|(_, kind)| *kind).ok_or(SeedError::UserData)
}

/// A line that stands in neither part.
fn boundary(parts: &[&str]) -> String {
    let mut number = 0_u64;
    loop {
        let boundary = format!("==bootcode-{number}==");
        if parts.iter().all(|part| !part.contains(&boundary)) {
            return boundary;
        }
        number += 1;
    }
}

/// cloud-init sends no header, so the token travels in the URL, to the service that issued it.
fn with_token(phone_home: &PhoneHome) -> Result<String, SeedError> {
    let PhoneHome { url, token } = phone_home;
    let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = token.as_deref().unwrap_or_default();
    if !(url.starts_with("http://") || url.starts_with("https://")) || !graphic(url) || !graphic(token) {
        return Err(SeedError::PhoneHome);
    }
    if token.is_empty() || url.contains(token) {
        return Ok(url.clone());
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let encoded: String = token
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    Ok(format!("{url}{separator}token={encoded}"))
}

fn nameservers(interface: &Interface) -> Option<Value> {
    let dns = interface.dns.as_ref().filter(|dns| !dns.servers.is_empty())?;
    let addresses: Vec<IpAddr> = dns.servers.clone();
    Some(json!({"addresses": addresses, "search": dns.search}))
}

/// Lower case: networkd and udev compare it as text.
fn mac(interface: &Interface) -> Result<String, SeedError> {
    let mac = interface.mac.to_ascii_lowercase().replace('-', ":");
    let octets: Vec<_> = mac.split(':').collect();
    let octet = |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if octets.len() == 6 && octets.iter().all(octet) {
        Ok(mac)
    } else {
        Err(SeedError::Mac { interface: interface.id.clone(), mac: interface.mac.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: &str) -> Metadata {
        serde_json::from_str(text).unwrap()
    }

    fn yaml(text: &str) -> Value {
        serde_json::from_str(text.trim_start_matches("#cloud-config\n")).unwrap()
    }

    fn node() -> Metadata {
        metadata(
            r#"{"id": "i-node-1", "hostname": "node-1",
                "interfaces": [
                    {"id": "nic0", "mac": "52:54:00:AB:00:01", "ip": "192.168.99.11", "prefix": 24,
                     "gateway": "192.168.99.1", "dns": {"servers": ["192.168.99.1"], "search": ["lab.example"]}, "netboot": true},
                    {"id": "nic1", "mac": "52:54:00:00:00:02"}],
                "instance": {"tags": ["lab"], "sshKeys": ["ssh-ed25519 AAAA me"]},
                "phoneHome": {"url": "http://192.168.99.1:7080/phone-home", "token": "a+b/c"}}"#,
        )
    }

    #[test]
    fn meta_data_names_the_instance_and_its_keys() {
        let value = yaml(&meta_data(&node()));
        assert_eq!(
            value,
            json!({"instance-id": "i-node-1", "local-hostname": "node-1", "public-keys": ["ssh-ed25519 AAAA me"]})
        );
        assert_eq!(
            yaml(&meta_data(&metadata(r#"{"id": "x"}"#))),
            json!({"instance-id": "x", "local-hostname": "x"})
        );
    }

    #[test]
    fn interfaces_are_static_by_hardware_address() {
        let value = yaml(&network_config(&node()).unwrap());
        assert_eq!(
            value,
            json!({"version": 2, "ethernets": {
                "nic0": {"match": {"macaddress": "52:54:00:ab:00:01"}, "addresses": ["192.168.99.11/24"],
                         "routes": [{"to": "0.0.0.0/0", "via": "192.168.99.1"}],
                         "nameservers": {"addresses": ["192.168.99.1"], "search": ["lab.example"]}},
                "nic1": {"match": {"macaddress": "52:54:00:00:00:02"}, "dhcp4": false, "optional": true}}})
        );
    }

    #[test]
    fn what_the_server_made_of_them_comes_first() {
        let served = json!({"version": 2, "bonds": {"bond0": {"interfaces": ["nic0", "nic1"]}}});
        let mut node = node();
        node.network_config = Some(served.clone());
        assert_eq!(yaml(&network_config(&node).unwrap()), served);
    }

    #[test]
    fn an_interface_that_cannot_be_is_refused() {
        let fault = |change: fn(&mut Interface)| {
            let mut interfaces = node().interfaces;
            change(&mut interfaces[0]);
            of_interfaces(&interfaces).unwrap_err()
        };
        assert!(matches!(fault(|nic| nic.prefix = None), SeedError::NoPrefix { .. }));
        assert!(matches!(fault(|nic| nic.prefix = Some(33)), SeedError::Prefix { prefix: 33, .. }));
        assert!(matches!(fault(|nic| nic.mac = "52:54".into()), SeedError::Mac { .. }));
        assert!(matches!(fault(|nic| nic.id = "nic1".into()), SeedError::Twice { .. }));
    }

    #[test]
    fn user_data_without_the_owner_s_is_the_phone_home_alone() {
        let text = user_data(&node()).unwrap();
        assert!(text.starts_with("#cloud-config\n"));
        let url = "http://192.168.99.1:7080/phone-home?token=a%2Bb%2Fc";
        assert_eq!(yaml(&text), json!({"phone_home": {"url": url, "post": POSTED, "tries": 10}}));
    }

    #[test]
    fn the_owner_s_user_data_stays_what_it_is() {
        for (theirs, kind) in [
            ("#cloud-config\npackages: [vim]\n", "text/cloud-config"),
            ("#!/bin/sh\necho ==bootcode-0==\n", "text/x-shellscript"),
            ("\n\n## template: jinja\n#cloud-config\n{}\n", "text/jinja2"),
        ] {
            let mut node = node();
            node.instance.user_data = Some(theirs.to_owned());
            let text = user_data(&node).unwrap();
            assert!(text.contains(&format!("Content-Type: {kind};")), "{text}");
            assert!(text.contains(theirs.trim_start()), "{text}");
            assert!(text.find("phone_home") < text.find(theirs.trim_start()), "ours is first: {text}");
            let boundary = text.split('"').nth(1).unwrap();
            assert_eq!(text.matches(&format!("--{boundary}")).count(), 3, "{text}");
        }
        let mut node = node();
        node.instance.user_data = Some("packages: [vim]".to_owned());
        assert!(matches!(user_data(&node), Err(SeedError::UserData)));
    }

    #[test]
    fn a_token_that_the_url_holds_is_not_added_twice() {
        let home =
            |url: &str, token: Option<&str>| PhoneHome { url: url.into(), token: token.map(Into::into) };
        assert_eq!(with_token(&home("http://h/p/t0k", Some("t0k"))).unwrap(), "http://h/p/t0k");
        assert_eq!(with_token(&home("http://h/p?a=b", Some("t0k"))).unwrap(), "http://h/p?a=b&token=t0k");
        assert_eq!(with_token(&home("http://h/p", None)).unwrap(), "http://h/p");
        assert!(with_token(&home("ftp://h/p", None)).is_err());
        assert!(with_token(&home("http://h/p", Some("a\nb"))).is_err());
    }
}
