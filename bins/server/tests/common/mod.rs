//! The real program, in a directory and, where it has to answer, in a network namespace of the test's own.

#![allow(dead_code, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use bootcode_api::{
    Endpoint, OperatorClient,
    routes::{Applied, File, Files},
};
use nix::sys::signal::Signal;

/// How long anything may take here; a busy machine needs some seconds.
const SOON: Duration = Duration::from_secs(60);

pub(crate) const NETWORK: &str = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 192.168.99.0/24, dhcp: {mode: authoritative}}
";
pub(crate) const MACHINE: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  interfaces: [{id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11, netboot: true}]
  storage: {disks: [{id: a, device: /dev/vda}]}
";
pub(crate) const TEMPLATE: &str = "apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    name: debian
    global_timeout: 60
    tasks:
    - name: install
      worker: '{{.device_1}}'
      actions:
      - {name: wipe, image: disk-wipe:v3, timeout: 9, volumes: ['/dev:/dev']}
";
pub(crate) const WORKFLOW: &str = "apiVersion: bootcode/v1
kind: Workflow
metadata: {name: install}
spec: {template: debian, hardware: node-1}
";

/// Runs `body` on a thread with a network namespace that has `lo` and a bridge `br0` with 192.168.99.1.
pub(crate) fn on_a_wire(body: impl FnOnce() + Send + 'static) {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let wire = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        for arguments in [
            "link set lo up",
            "link add br0 type bridge",
            "address add 192.168.99.1/24 dev br0",
            "link set br0 up",
        ] {
            let status =
                Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
            assert!(status.success(), "ip {arguments}: {status}");
        }
        body();
    };
    std::thread::spawn(wire).join().unwrap();
}

/// A directory with a configuration.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With `bootcode.yaml` as given; its data directory and socket are below the directory.
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("bootcode.yaml", config);
        place
    }

    /// On the bridge, with everything that a server needs.
    pub(crate) fn complete(more: &str) -> Self {
        let config = "interfaces: [br0]\ndata_dir: data\napi: {socket: api.sock}\nipxe: ipxe\n";
        let place = Self::new(&format!("{config}{more}"));
        for directory in ["files", "osie", "ipxe", "images", "machines"] {
            fs::create_dir(place.path(directory)).unwrap();
        }
        place.write("images/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        place.write("images/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let (path, part) = (self.path(name), self.path("part"));
        fs::write(&part, bytes).unwrap();
        fs::rename(part, path).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootcode-server"));
        command.current_dir(self.dir.path()).args(arguments);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"BOOTCODE_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    /// The same with variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        Ended::of(self.command(arguments).envs(variables.iter().copied()).output().unwrap())
    }

    /// Starts the server and waits until it serves.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        let mut child = self.command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let (send, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        let client = OperatorClient::new(Endpoint::Unix { path: self.path("api.sock") });
        let serving = Serving { child, log, client };
        serving.wait_for("serving http=");
        serving
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// What it said last, without the log.
    pub(crate) said: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        let said = stderr.find("bootcode-server: ").map_or("", |at| &stderr[at..]).trim_end().to_owned();
        Self { code: output.status.code(), stdout: String::from_utf8(output.stdout).unwrap(), said, stderr }
    }

    /// It ended because documents have faults, and says so with all of `parts`.
    #[track_caller]
    pub(crate) fn is_fault(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(65), "{}", self.stderr);
        for part in parts {
            assert!(self.said.contains(part), "`{part}` is not in: {}", self.said);
        }
    }

    /// It ended with this code and one line that holds all of `parts`.
    #[track_caller]
    pub(crate) fn is(&self, what: &str, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{what}: {}", self.stderr);
        assert_eq!(self.said.lines().count(), 1, "{what}: one line: {}", self.stderr);
        for part in parts {
            assert!(self.said.contains(part), "{what}: `{part}` is not in: {}", self.said);
        }
        assert!(!self.stderr.contains("panicked"), "{what}: {}", self.stderr);
    }
}

/// A server that runs.
pub(crate) struct Serving {
    child: Child,
    log: Receiver<String>,
    client: OperatorClient,
}

impl Serving {
    /// Reads the log up to the first line that holds `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(SOON) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no `{text}` in the log ({error}):\n{}", seen.join("\n")),
            }
        }
    }

    /// Ends it by a signal; its exit code, none where the signal killed it.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        let status = self.child.wait().unwrap();
        assert_ne!(status.signal(), Some(Signal::SIGABRT as i32), "it aborted");
        status.code()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it anything.
    pub(crate) fn client(&self) -> &OperatorClient {
        &self.client
    }

    pub(crate) fn apply(&self, text: &str) -> Result<Applied, bootcode_api::ClientError> {
        let files = Files { files: vec![File { name: "test.yaml".into(), text: text.into() }] };
        block_on(self.client.apply(&files))
    }

    /// `Kind/name` of every document, with the state of workflows.
    pub(crate) fn documents(&self) -> Vec<String> {
        let mut names = Vec::new();
        for kind in ["Network", "Profile", "Hardware", "Template", "Workflow", "Secret"] {
            for item in block_on(self.client.list(kind)).unwrap().items {
                let state =
                    item["status"]["state"].as_str().map(|state| format!(" {state}")).unwrap_or_default();
                names.push(format!("{kind}/{}{state}", item["metadata"]["name"].as_str().unwrap()));
            }
        }
        names
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Sends a request to the machines' port as it stands; status and body.
pub(crate) fn machines(request: &[u8]) -> (u16, String) {
    let stream = TcpStream::connect("192.168.99.1:7080").unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    exchange(stream, request)
}

/// A connection to the machines' port from another address of ours.
pub(crate) fn connect_from(address: &str) -> TcpStream {
    let connected = async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        socket.connect("192.168.99.1:7080".parse().unwrap()).await.unwrap().into_std().unwrap()
    };
    let stream = block_on(connected);
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends a request to the machines' port as it stands, from another address of ours; status and body.
pub(crate) fn machines_from(address: &str, request: &[u8]) -> (u16, String) {
    exchange(connect_from(address), request)
}

/// Sends a request to the operators' socket as it stands; status and body.
pub(crate) fn operators(socket: &Path, request: &[u8]) -> (u16, String) {
    let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    exchange(stream, request)
}

fn exchange(mut stream: impl std::io::Read + std::io::Write, request: &[u8]) -> (u16, String) {
    // A server that has answered may close before it read all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), body)
}

/// A request with a method, path, further header lines and body.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}
