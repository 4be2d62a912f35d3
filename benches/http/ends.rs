//! The wire's two ends: this process's servers at one, one thread with the load at the other.

use std::{io, net::Ipv4Addr, sync::mpsc, thread};

use crate::wire::{SERVER, own_namespace, run};

/// Where the load comes from.
const LOAD: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 2);

/// Puts this thread into a namespace where [`SERVER`] is `srv0`, a veth. Servers are started after it.
pub(crate) fn server_end() -> io::Result<()> {
    own_namespace()?;
    run("ip", "link add srv0 type veth peer name cli0")?;
    run("ip", &format!("addr add {SERVER}/24 dev srv0"))?;
    run("ip", "link set srv0 up")
}

/// Does the work in a thread at the other end of the wire; threads that it starts are there too.
pub(crate) fn at_the_other_end<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let thread = scope.spawn(move || -> io::Result<T> {
            own_namespace()?;
            tell.send(nix::unistd::gettid()).map_err(io::Error::other)?;
            wait.recv().map_err(io::Error::other)?;
            run("ip", &format!("addr add {LOAD}/24 dev cli0"))?;
            run("ip", "link set cli0 up")?;
            Ok(work())
        });
        if let Ok(there) = told.recv() {
            run("ip", &format!("link set cli0 netns {there}"))?;
            go.send(()).map_err(io::Error::other)?;
        }
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the load's thread failed")))
    })
}
