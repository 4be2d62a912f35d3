//! Bootcode's metadata service inside somebody's own web application, over their own list of machines.
//!
//! ```text
//! cargo run -p bootcode-examples --example metadata_in_your_app
//! ```

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Router, routing::get};
use bootcode_core::{
    boot::Site,
    clock::{Clock as _, SystemClock},
    files::Memory,
    secret::NoSecrets,
    session::{Claims, Entropy, Sealer, Use, random_id},
    source::NoWork,
    timeline::NoRecorder,
};
use bootcode_examples::Inventory;
use bootcode_metadata::{MetadataMetrics, MetadataParts, router};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;

    // The caller's own sources; the key would be kept in a file, so that tokens outlive a restart.
    let inventory = Arc::new(Inventory::parse("web-1,52:54:00:00:00:01,10.0.0.11\n", "10.0.0.0/24")?);
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let entropy: Entropy = Arc::new(|| {
        let mut bits = [0; 16];
        // A system without randomness must not hand out tokens that can be guessed.
        getrandom::fill(&mut bits).expect("the system's randomness");
        bits
    });
    let parts = MetadataParts {
        hardware: Arc::clone(&inventory) as _,
        instances: Arc::new(NoWork),
        networks: inventory,
        files: Arc::new(Memory::default()),
        proxies: Arc::new([]),
        site: Site { addresses: vec![Ipv4Addr::LOCALHOST], http_port: address.port(), disk_loader: false },
        secrets: Arc::new(NoSecrets),
        sealer: Sealer::new(key),
        entropy: Arc::clone(&entropy),
        metrics: MetadataMetrics::default(),
        recorder: Arc::new(NoRecorder),
        clock: Arc::new(SystemClock),
    };
    let token = parts.sealer.seal(&Claims {
        used_for: Use::Instance,
        hardware: "web-1".into(),
        id: random_id(&entropy),
        bound: String::new(),
        expires: SystemClock.now().as_second() + 600,
    });

    // The caller's own routes beside ours.
    let app = Router::new().route("/hello", get(|| async { "hello\n" })).merge(router(parts));
    let server = tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
    });

    println!(
        "-- with its token, web-1 reads its document:\n{}",
        ask(address, "/metadata", Some(&token)).await?
    );
    println!(
        "-- and its network:\n{}",
        ask(address, &format!("/nocloud/t/{token}/network-config"), None).await?
    );
    println!("-- without one, 127.0.0.1 is nobody:\n{}", ask(address, "/metadata", None).await?);
    server.abort();
    Ok(())
}

/// One request, one answer with its headers.
async fn ask(address: SocketAddr, path: &str, token: Option<&str>) -> Result<String, std::io::Error> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n\r\n");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
