//! Debian's nginx as a peer: one worker, which serves a directory and writes no access log.

use std::{fs, io, net::SocketAddrV4, path::Path};

use crate::process::Process;

/// Serves `dir/www` at this address.
pub(crate) fn start(dir: &Path, listen: SocketAddrV4) -> io::Result<Process> {
    let shown = dir.display();
    // One process that is its own master: nothing else of it is to be counted or ended.
    let text = format!(
        "daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 65536;\n\
         pid {shown}/nginx.pid; error_log {shown}/log warn;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000; open_file_cache max=1000;\n  \
         client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy; fastcgi_temp_path {shown}/fastcgi;\n  \
         uwsgi_temp_path {shown}/uwsgi; scgi_temp_path {shown}/scgi;\n  \
         server {{ listen {listen} backlog=4096; root {shown}/www; }}\n}}\n"
    );
    let config = dir.join("nginx.conf");
    fs::write(&config, text)?;
    fs::create_dir_all(dir.join("www"))?;
    let (errors, dash_c) = (dir.join("log"), Path::new("-c"));
    Process::start(dir, Path::new("/usr/sbin/nginx"), &[Path::new("-e"), &errors, dash_c, &config], &[])
}
