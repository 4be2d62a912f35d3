//! Options: what is asked for, what documents give, long ones (RFC 3396), small replies (RFC 2132 9.3, 9.10).

use bootcode_core::document::{DhcpMode, DhcpOption};

use crate::{
    DISCOVER, INFORM,
    common::{Ask, NODE, World},
};

fn world() -> World {
    World::new(DhcpMode::Authoritative)
}

fn options(text: &str) -> Vec<DhcpOption> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_option_has_its_source() {
    let all = [1, 3, 6, 12, 15, 26, 28, 42, 43, 51, 54, 58, 59, 66, 67, 114, 119, 121, 125, 150, 175];
    let world = world().with(|world| {
        let spec = &mut world.network.as_mut().unwrap().spec;
        spec.mtu = Some(9000);
        spec.routes = serde_json::from_str(r#"[{"to": "10.0.0.0/8", "via": "192.168.99.254"}]"#).unwrap();
        spec.dns.search = vec!["lab.example".into(), "ops.lab.example".into()];
        spec.dhcp.options = options(
            r#"[{"code": 114, "text": "https://portal.example/"}, {"code": 43, "hex": "f1040a000001"},
                {"code": 125, "hex": "00000009 03 01 01 07"}, {"code": 150, "ips": ["192.168.99.3"]}]"#,
        );
    });
    let world = &world;
    assert_table!(&[
        (
            "asked for, an operating system",
            world,
            Ask::new(DISCOVER).option(55, &all).option(57, &[5, 220]).option(61, &[0, 7])
        ),
        (
            "asked for, firmware: its own 43",
            world,
            Ask::new(DISCOVER).option(57, &[5, 220]).edk2_pxe().option(55, &all)
        ),
        ("nothing asked for", world, Ask::new(DISCOVER).option(57, &[5, 220])),
        ("only the routes", world, Ask::new(DISCOVER).option(55, &[121, 3])),
        ("INFORM has no lease", world, Ask::new(INFORM).ciaddr(NODE).option(55, &all).option(57, &[5, 220])),
    ]);
}

#[test]
fn the_interface_goes_before_the_machine_before_the_network() {
    let world = world().with(|world| {
        world.network.as_mut().unwrap().spec.dhcp.options =
            options(r#"[{"code": 23, "u8": 1}, {"code": 24, "u16": 1}, {"code": 35, "u32": 1}, {"code": 252, "text": "always", "always": true}]"#);
        let hardware = world.hardware.as_mut().unwrap();
        hardware.spec.dhcp_options = options(r#"[{"code": 23, "u8": 2}, {"code": 24, "u16": 2}]"#);
        hardware.spec.interfaces[0].dhcp_options = options(r#"[{"code": 23, "u8": 3}, {"code": 3, "ips": ["192.168.99.7"]}]"#);
    });
    let world = &world;
    assert_table!(&[
        ("asked for", world, Ask::new(DISCOVER).option(55, &[3, 23, 24, 35])),
        ("not asked for", world, Ask::new(DISCOVER).option(55, &[6])),
        ("who does not say what it wants", world, Ask::new(DISCOVER)),
    ]);
}

#[test]
fn small_replies_use_sname_and_file_and_name_what_is_left_out() {
    let long = "ab".repeat(150);
    let text = format!(
        r#"[{{"code": 224, "hex": "{long}"}}, {{"code": 225, "text": "{}"}}, {{"code": 226, "text": "{}"}}]"#,
        "x".repeat(60),
        "y".repeat(110)
    );
    let with = |text: &str| {
        let declared = options(text);
        world().with(|world| world.network.as_mut().unwrap().spec.dhcp.options = declared)
    };
    let some = &with(&text);
    let split = &with(&format!(r#"[{{"code": 224, "hex": "{}"}}]"#, "cd".repeat(300)));
    assert_table!(&[
        ("room for all", some, Ask::new(DISCOVER).option(55, &[3, 224, 225, 226]).option(57, &[5, 220])),
        (
            "an operating system: sname and file",
            some,
            Ask::new(DISCOVER).option(55, &[3, 6, 12, 15, 42, 224, 225, 226])
        ),
        (
            "firmware that reads 67: its file moves there",
            some,
            Ask::new(DISCOVER)
                .option(60, b"PXEClient")
                .option(93, &[0, 7])
                .option(55, &[3, 6, 67, 224, 225, 226])
        ),
        (
            "firmware that does not: the last is left out",
            some,
            Ask::new(DISCOVER)
                .option(60, b"PXEClient")
                .option(93, &[0, 7])
                .option(55, &[3, 6, 224, 225, 226])
        ),
        ("a long option is split", split, Ask::new(DISCOVER).option(55, &[224]).option(57, &[5, 220])),
        ("and left out where it has no room", split, Ask::new(DISCOVER).option(55, &[224, 3])),
    ]);
}

#[test]
fn overloaded_and_split_options_of_a_client_are_read() {
    let world = &world();
    // The class stands in `file`, the list of parameters in two parts and in `sname`.
    let overloaded = Ask::new(DISCOVER)
        .option(52, &[3])
        .option(55, &[3])
        .option(55, &[6])
        .at(108, b"\x3c\x09PXEClient\x5d\x02\0\x07\xff")
        .at(44, b"\x37\x01\x0c\xff");
    assert_table!(&[("option 52 with 3", world, overloaded)]);
}
