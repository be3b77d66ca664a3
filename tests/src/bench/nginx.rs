//! nginx with OpenSSL, which keeps nothing: what others use at the door. It is measured where it
//! is installed.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::net::TcpStream;

use crate::department::Department;
use crate::program::Process;
use crate::wait::until;

/// A running nginx: one process, which asks for a client certificate and answers nothing.
pub(super) struct Nginx {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl Nginx {
    /// Starts it with the department's certificates; `None` where it is not installed.
    pub(super) async fn start(department: &Department) -> Option<Self> {
        let found = Command::new("nginx")
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return None;
        }
        // nginx cannot say which port it was given, so one that was free a moment ago is taken.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let prefix = department.scratch().join("nginx");
        std::fs::create_dir(&prefix).expect("a directory");
        let configuration = configuration(address, &department.data());
        std::fs::write(prefix.join("nginx.conf"), configuration).expect("a file");
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(&prefix)
            .args(["-e", "stderr", "-c", "nginx.conf"]);
        let process = Process::start_silent(&mut command, &prefix.join("log"));
        until("nginx listens", || async {
            TcpStream::connect(address).await.ok()
        })
        .await;
        Some(Self { process, address })
    }
}

fn configuration(address: SocketAddr, data: &Path) -> String {
    let file = |name: &str| -> PathBuf { data.join(name) };
    let (certificate, authority) = (file("server.pem"), file("ca.pem"));
    let (certificate, authority) = (certificate.display(), authority.display());
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;
        events {{ worker_connections 1024; }}
        http {{
          access_log off; client_max_body_size 8m; client_body_buffer_size 1m;
          client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
          uwsgi_temp_path uwsgi; scgi_temp_path scgi;
          server {{
            listen {address} ssl; keepalive_requests 1000000;
            ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
            ssl_certificate {certificate}; ssl_certificate_key {certificate};
            ssl_client_certificate {authority}; ssl_verify_client on;
            location / {{ return 200; }}
          }}
        }}"
    )
}
