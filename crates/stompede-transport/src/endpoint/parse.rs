use std::net::Ipv6Addr;

use super::{Credentials, Endpoint, default_port};
use crate::{TransportError, TransportErrorKind};

/// Longer URLs are refused: an upgrade request has to fit into the 8 KiB that HTTP servers take for a request line.
pub(super) const MAX_URL: usize = 4096;

pub(super) fn endpoint(url: &str) -> Result<Endpoint, TransportError> {
    if url.len() > MAX_URL {
        return Err(invalid("it is longer than 4096 bytes"));
    }
    // Above all CR and LF: they would end a line of the upgrade request and begin another.
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(invalid("it contains a space or a control character; write it percent-encoded"));
    }
    if url.contains('#') {
        return Err(invalid("it has a fragment (#), which no broker would see; write %23 for a literal #"));
    }
    let (scheme, rest) = url.split_once(':').ok_or_else(no_scheme)?;
    let scheme = self::scheme(scheme)?;
    let known = default_port(&scheme).is_some();
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        // `localhost:61613` looks like a scheme and a path; only a path with a slash is one.
        None if !known && rest.starts_with('/') => ("", rest),
        None => return Err(no_scheme()),
    };
    let (credentials, host_and_port) = match authority.rsplit_once('@') {
        Some((userinfo, rest)) => (Some(credentials(userinfo)?), rest),
        None => (None, authority),
    };
    let (host, port) = self::host_and_port(host_and_port)?;
    if host.is_empty() && (known || credentials.is_some() || port.is_some()) {
        return Err(invalid("it has no host"));
    }
    Ok(Endpoint {
        port: port.or(default_port(&scheme)),
        path: self::path(&scheme, known, path)?,
        scheme,
        credentials,
        host,
    })
}

fn scheme(text: &str) -> Result<Box<str>, TransportError> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return Err(no_scheme());
    }
    let lower = text.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "stomp" => "tcp".into(),
        "ssl" | "stomp+ssl" => "tls".into(),
        _ => lower.into(),
    })
}

fn credentials(userinfo: &str) -> Result<Credentials, TransportError> {
    let (login, passcode) = match userinfo.split_once(':') {
        Some((login, passcode)) => (login, Some(passcode)),
        None => (userinfo, None),
    };
    Ok(Credentials { login: percent_decoded(login)?, passcode: passcode.map(percent_decoded).transpose()? })
}

fn percent_decoded(text: &str) -> Result<Box<str>, TransportError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(invalid("its credentials hold a % that two hexadecimal digits do not follow"));
        };
        // Two hexadecimal digits always fit into a byte.
        decoded.push((high * 16 + low) as u8);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| invalid("its credentials are not UTF-8"))?;
    if decoded.contains(char::is_control) {
        return Err(invalid("its credentials contain a control character"));
    }
    Ok(decoded.into())
}

fn host_and_port(text: &str) -> Result<(Box<str>, Option<u16>), TransportError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(|| invalid("a [ is never closed"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(invalid("what stands in [ ] is not an IPv6 address (zones are not supported)"));
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, port),
                None if rest.is_empty() => (host, ""),
                None => return Err(invalid("something other than a port follows the ]")),
            }
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
                return Err(invalid("its host holds a character that no host name has (IDNs: use xn--…)"));
            }
            (host, port)
        }
    };
    Ok((host.to_ascii_lowercase().into(), self::port(port)?))
}

fn port(text: &str) -> Result<Option<u16>, TransportError> {
    if text.is_empty() {
        return Ok(None);
    }
    // `parse` alone would take a sign.
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("its port is not a number (IPv6 addresses need brackets)"));
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(invalid("its port is not between 1 and 65535")),
        Ok(port) => Ok(Some(port)),
    }
}

fn path(scheme: &str, known: bool, text: &str) -> Result<Box<str>, TransportError> {
    if known && text.contains('@') {
        return Err(invalid(
            "an @ stands behind the host; write %2F for a / in a password, %40 for an @ in a path",
        ));
    }
    if !matches!(scheme, "ws" | "wss") {
        return Ok(text.into());
    }
    if !text.is_ascii() {
        return Err(invalid("its path is not ASCII; write it percent-encoded"));
    }
    Ok(if text.starts_with('/') { text.into() } else { format!("/{text}").into() })
}

fn no_scheme() -> TransportError {
    invalid("it does not begin with a scheme, as in ws://localhost:15674/ws or tcp://localhost:61613")
}

/// The URL itself stays out of the text: a URL that does not parse may hold a password anywhere.
pub(super) fn invalid(why: &str) -> TransportError {
    TransportError::new(TransportErrorKind::InvalidEndpoint, format!("the URL is not usable: {why}"))
}
