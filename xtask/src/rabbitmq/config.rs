//! The files and the environment that make a RabbitMQ of our own, apart from any other on the machine.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tls::TlsFiles;

/// Erlang's distribution stays on loopback, and idle schedulers sleep instead of spinning.
const ERL_ARGS: &str = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";

/// The accounts of the tests. A hash is base64(salt + sha256(salt + password)) with the salt "STMP", made by
/// `{ printf STMP; printf STMPguest | openssl dgst -sha256 -binary; } | openssl base64 -A`;
/// the passwords are guest, labpass and ropass. `ro` may read and configure, but write to nothing.
const DEFINITIONS: &str = r#"{"users":[
 {"name":"guest","password_hash":"U1RNUFHv5vonT9uOM1rZEobkPJtKkNUPI2s1jba+sngTsOMg",
  "hashing_algorithm":"rabbit_password_hashing_sha256","tags":"administrator"},
 {"name":"lab","password_hash":"U1RNUMd+lou8KouGmb+LhKRw7EEVXCac8AzW1QejzHTXBzTL",
  "hashing_algorithm":"rabbit_password_hashing_sha256","tags":""},
 {"name":"ro","password_hash":"U1RNUCWTk1hNQO1R+tDWXTXqS+m/j26P/R02mQ77PcyYBue6",
  "hashing_algorithm":"rabbit_password_hashing_sha256","tags":""}],
"vhosts":[{"name":"/"},{"name":"lab"}],
"permissions":[
 {"user":"guest","vhost":"/","configure":".*","write":".*","read":".*"},
 {"user":"guest","vhost":"lab","configure":".*","write":".*","read":".*"},
 {"user":"lab","vhost":"lab","configure":".*","write":".*","read":".*"},
 {"user":"ro","vhost":"/","configure":".*","write":"^stomp-subscription-.*","read":".*"}]}
"#;

/// What is different about one broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setting {
    /// Nothing: RabbitMQ's defaults, which put binary bodies into WebSocket text messages.
    Default,
    /// It answers in binary WebSocket messages, and lets in over TLS only who shows a certificate.
    Binary,
    /// It takes credentials from the WebSocket upgrade.
    HttpAuth,
}

impl Setting {
    fn conf(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Binary => {
                "web_stomp.ws_frame = binary\n\
                 ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\n"
            }
            Self::HttpAuth => "web_stomp.use_http_auth = true\n",
        }
    }

    /// What Erlang is told about the certificates of clients over `wss://`: rabbitmq.conf has no words for it.
    fn verify(self) -> &'static str {
        match self {
            Self::Binary => ", {verify, verify_peer}, {fail_if_no_peer_cert, true}",
            Self::Default | Self::HttpAuth => "",
        }
    }
}

/// The loopback ports of one broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ports {
    pub(super) stomp: u16,
    pub(super) stomp_tls: u16,
    pub(super) web_stomp: u16,
    pub(super) web_stomp_tls: u16,
    pub(super) epmd: u16,
    pub(super) distribution: u16,
}

impl Ports {
    /// Free ports. Nothing holds them until the broker does, so a start may still find one taken.
    pub(super) fn free() -> io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        // All are bound before the first is released; otherwise two could be the same.
        let held = [bind()?, bind()?, bind()?, bind()?, bind()?, bind()?];
        let [stomp, stomp_tls, web_stomp, web_stomp_tls, epmd, distribution] = &held;
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        Ok(Self {
            stomp: port(stomp)?,
            stomp_tls: port(stomp_tls)?,
            web_stomp: port(web_stomp)?,
            web_stomp_tls: port(web_stomp_tls)?,
            epmd: port(epmd)?,
            distribution: port(distribution)?,
        })
    }
}

/// A directory of our own below the system's temporary one. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory; its name is new, and only we can read it.
    pub(super) fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("stompede-rabbitmq-{:016x}", random()));
        fs::create_dir(&path)?;
        let scratch = Self(path);
        only_for_us(scratch.path(), 0o700)?;
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Writes every file that the broker reads.
pub(super) fn write(dir: &Path, ports: Ports, setting: Setting, tls: &TlsFiles) -> io::Result<()> {
    for name in ["home", "log", "mnesia", "schema"] {
        fs::create_dir(dir.join(name))?;
    }
    let cookie = dir.join("home/.erlang.cookie");
    fs::write(&cookie, format!("{:016x}{:016x}", random(), random()))?;
    only_for_us(&cookie, 0o400)?;
    fs::write(dir.join("env.conf"), "")?;
    fs::write(dir.join("advanced.config"), advanced(ports, setting, tls))?;
    fs::write(dir.join("enabled_plugins"), "[rabbitmq_stomp,rabbitmq_web_stomp].\n")?;
    fs::write(dir.join("definitions.json"), DEFINITIONS)?;
    fs::write(dir.join("rabbitmq.conf"), conf(dir, ports, tls) + setting.conf())
}

/// The text of rabbitmq.conf: STOMP over TCP and over WebSocket, with TLS and without, on loopback, no AMQP.
fn conf(dir: &Path, ports: Ports, tls: &TlsFiles) -> String {
    let Ports { stomp, stomp_tls, web_stomp, .. } = ports;
    let (ca, cert, key) = (tls.ca(), tls.server_cert(), tls.server_key());
    format!(
        "listeners.tcp = none\n\
         load_definitions = {}\n\
         log.file.level = info\n\
         vm_memory_high_watermark.absolute = 1GB\n\
         disk_free_limit.absolute = 50MB\n\
         stomp.listeners.tcp.1 = 127.0.0.1:{stomp}\n\
         web_stomp.tcp.ip = 127.0.0.1\n\
         web_stomp.tcp.port = {web_stomp}\n\
         stomp.listeners.ssl.1 = 127.0.0.1:{stomp_tls}\n\
         ssl_options.cacertfile = {}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n",
        dir.join("definitions.json").display(),
        ca.display(),
        cert.display(),
        key.display(),
    )
}

/// The text of advanced.config: STOMP over WebSocket over TLS.
fn advanced(ports: Ports, setting: Setting, tls: &TlsFiles) -> String {
    let port = ports.web_stomp_tls;
    let (ca, cert, key) = (tls.ca(), tls.server_cert(), tls.server_key());
    format!(
        "[{{rabbitmq_web_stomp, [{{ssl_config, [{{ip, \"127.0.0.1\"}}, {{port, {port}}}, {{cacertfile, {:?}}}, \
         {{certfile, {:?}}}, {{keyfile, {:?}}}{}]}}]}}].\n",
        ca.display().to_string(),
        cert.display().to_string(),
        key.display().to_string(),
        setting.verify(),
    )
}

/// Points everything that the broker reads or writes into the directory, and nothing elsewhere.
pub(super) fn environment(command: &mut Command, dir: &Path, ports: Ports) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("RABBITMQ_") || text.starts_with("ERL_") || text == "NOTIFY_SOCKET" {
            command.env_remove(&name);
        }
    }
    let files = [
        ("HOME", "home"),
        ("RABBITMQ_CONF_ENV_FILE", "env.conf"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "mnesia"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "schema"),
        ("RABBITMQ_PID_FILE", "rabbit.pid"),
    ];
    command.current_dir(dir).envs(files.map(|(name, file)| (name, dir.join(file))));
    command
        .env("ERL_EPMD_PORT", ports.epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", format!("stompede-{}@localhost", ports.distribution))
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERL_ARGS)
        // The start script then becomes the Erlang VM instead of waiting for it: SIGTERM reaches the VM.
        .env("RUNNING_UNDER_SYSTEMD", "true");
}

/// A number that nobody else has, for names and the cookie; the standard library seeds it from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(unix)]
fn only_for_us(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn only_for_us(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports {
        stomp: 1001,
        stomp_tls: 1005,
        web_stomp: 1002,
        web_stomp_tls: 1006,
        epmd: 1003,
        distribution: 1004,
    };

    #[test]
    fn the_configuration_listens_on_loopback_only_and_not_for_amqp() {
        let tls = TlsFiles::create().unwrap();
        let text = conf(Path::new("/scratch"), PORTS, &tls);
        assert!(text.contains("listeners.tcp = none\n"));
        assert!(text.contains("load_definitions = /scratch/definitions.json\n"));
        assert!(text.contains("stomp.listeners.tcp.1 = 127.0.0.1:1001\n"));
        assert!(text.contains("web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = 1002\n"));
        assert!(text.contains("stomp.listeners.ssl.1 = 127.0.0.1:1005\n"));
        let text = advanced(PORTS, Setting::Default, &tls);
        assert!(text.contains(r#"[{ip, "127.0.0.1"}, {port, 1006}, "#) && !text.contains("verify"), "{text}");
        assert!(advanced(PORTS, Setting::Binary, &tls).contains("{verify, verify_peer}"));
    }

    #[test]
    fn the_definitions_are_json_with_the_three_accounts() {
        let definitions: serde_json::Value = serde_json::from_str(DEFINITIONS).unwrap();
        let users = definitions["users"].as_array().unwrap();
        let names: Vec<_> = users.iter().map(|user| user["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["guest", "lab", "ro"]);
    }

    #[test]
    fn ports_are_distinct() {
        let Ports { stomp, stomp_tls, web_stomp, web_stomp_tls, epmd, distribution } = Ports::free().unwrap();
        let all = [stomp, stomp_tls, web_stomp, web_stomp_tls, epmd, distribution];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 6);
    }

    #[test]
    fn scratch_is_gone_after_its_drop() {
        let scratch = Scratch::create().unwrap();
        write(scratch.path(), PORTS, Setting::Binary, &TlsFiles::create().unwrap()).unwrap();
        let path = scratch.path().to_path_buf();
        let conf = fs::read_to_string(path.join("rabbitmq.conf")).unwrap();
        assert!(conf.contains("web_stomp.ws_frame = binary\n"), "{conf}");
        drop(scratch);
        assert!(!path.exists());
    }
}
