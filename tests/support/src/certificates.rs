//! Certificates made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority that signs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
    /// Its certificate.
    pub der: Vec<u8>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "tests put chains together")]
pub struct Identity {
    /// The certificate, and those behind it.
    pub chain: String,
    /// The key of the first.
    pub key: String,
}

impl Authority {
    /// Its own root.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }
    }

    /// A certificate as `params` has it, signed by this authority.
    pub fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { chain, key: key.serialize_pem() }
    }

    /// A server's for `localhost`, and for no address.
    pub fn localhost(&self) -> Identity {
        self.sign(&server(&["localhost"]))
    }

    /// A server's for `localhost` and for the addresses of this machine.
    pub fn loopback(&self) -> Identity {
        self.sign(&server(&["localhost", "127.0.0.1", "::1"]))
    }

    /// A client's.
    pub fn client(&self) -> Identity {
        self.sign(&client())
    }
}

/// Signed with its own key.
pub fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// For a server of these names (or addresses).
pub fn server(names: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a broker");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// For a client.
pub fn client() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Long over.
pub fn expired(mut params: CertificateParams) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    params
}

/// Not for long.
pub fn future(mut params: CertificateParams) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    params
}

/// For an authority of that name.
pub fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
