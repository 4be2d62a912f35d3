//! A machine on a wire: namespaces in which Debian's cloud-init boots, against the service on the other end.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::super::site::World;

/// Its interfaces, as the site declares node-1's.
const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:11"];

/// A machine that has not booted yet.
pub(crate) struct Machine {
    work: TempDir,
}

/// What a boot left.
pub(crate) struct Booted {
    work: TempDir,
    /// What the machine said of itself at the end: its name, addresses and routes.
    pub(crate) said: String,
}

impl Machine {
    /// `cmdline` is what the kernel was told.
    pub(crate) fn new(cmdline: &str) -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("files")).unwrap();
        fs::write(work.path().join("cmdline"), cmdline).unwrap();
        Self { work }
            .with("boot.sh", include_str!("boot.sh"))
            .with("etc/resolv.conf", "nameserver 192.168.99.1\n")
    }

    /// A file on its disk.
    pub(crate) fn with(self, path: &str, text: &str) -> Self {
        let file = self.work.path().join("files").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// The seed of NoCloud as `world` serves it now.
    pub(crate) fn seeded(mut self, world: &World) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for file in ["meta-data", "user-data", "vendor-data", "network-config"] {
            let answer = runtime.block_on(world.get("192.168.99.11", &format!("/nocloud/{file}"), None));
            self = self.with(&format!("var/lib/cloud/seed/nocloud/{file}"), &answer.body);
        }
        self
    }

    /// Boots it while `world` answers on ports 80 and 7080 of its router, and a DHCP server gives it its address.
    pub(crate) fn boot(self, world: &World) -> Booted {
        let work = self.work.path().to_owned();
        let mut machine = Ended(
            Command::new("unshare")
                .args(["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "sh", "-c"])
                .arg(include_str!("machine.sh"))
                .arg("machine.sh")
                .arg(&work)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("unshare, of util-linux"),
        );
        let child = &mut machine.0;
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the machine's namespaces: run as root");
        for (number, mac) in MACS.iter().enumerate() {
            let (ours, theirs) = (format!("srv{number}"), format!("eth{number}"));
            let pair = ["link", "add", &ours, "type", "veth", "peer", "name", &theirs];
            ip(&[&pair, ["address", mac, "netns", &child.id().to_string()].as_slice()].concat());
            ip(&["link", "set", &ours, "up"]);
        }
        for address in ["192.168.99.1/24", "169.254.169.254/32"] {
            ip(&["address", "add", address, "dev", "srv0"]);
        }
        let _dhcp = dhcp();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let said = runtime.block_on(async {
            for port in [80, 7080] {
                let listener = TcpListener::bind(("0.0.0.0", port)).await.unwrap();
                let service = world.router().into_make_service_with_connect_info::<SocketAddr>();
                tokio::spawn(async move { axum::serve(listener, service).await });
            }
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
            let read = move || {
                let mut said = String::new();
                output.read_to_string(&mut said).unwrap();
                said
            };
            tokio::task::spawn_blocking(read).await.unwrap()
        });
        let status = child.wait().unwrap();
        for number in 0..MACS.len() {
            // The kernel takes them away by and by; the next boot has some of the same names.
            let _ = Command::new("ip").args(["link", "delete", &format!("srv{number}")]).output();
        }
        let booted = Booted { work: self.work, said };
        assert!(status.success(), "{status}: {}\n{}", booted.said, booted.log());
        booted
    }
}

impl Booted {
    /// The machine, off, with its disk as the boot left it.
    pub(crate) fn off(self) -> Machine {
        Machine { work: self.work }
    }

    /// A file that the boot wrote.
    pub(crate) fn wrote(&self, path: &str) -> String {
        let file = self.work.path().join("wrote").join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// cloud-init's log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.work.path().join("wrote/var/log/cloud-init.log")).unwrap_or_default()
    }
}

/// Another's DHCP server, which knows `eth0` alone.
fn dhcp() -> Ended {
    let [mac, _] = MACS;
    let child = Command::new("dnsmasq")
        .args(["--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--user=root", "--leasefile-ro"])
        .args(["--interface=srv0", "--bind-interfaces", "--dhcp-range=192.168.99.0,static"])
        .args([format!("--dhcp-host={mac},192.168.99.11"), "--dhcp-option=3,192.168.99.1".to_owned()])
        .arg("--log-facility=/dev/null")
        .arg("--pid-file")
        .spawn();
    Ended(child.expect("dnsmasq, of dnsmasq-base"))
}

/// A program that ends with the test, also with one that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip, of iproute2");
    assert!(status.success(), "ip {}: {status}", arguments.join(" "));
}
