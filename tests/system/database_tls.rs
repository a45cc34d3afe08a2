//! TLS for connections to PostgreSQL, as parameters of the URL set it: a real server with certificates of the test.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{Authority, ProgramOutput, apex_binary};

/// Without TLS, and with a password without TLS, nobody is admitted; `certified` needs a certificate of that name.
const ACCESS: &str =
    "hostssl all certified all cert\nhostssl all all all scram-sha-256\nhostnossl all all all reject\n";

struct Server {
    cluster: Cluster,
    authority: Authority,
    clients: Authority,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let (cluster, authority, clients) =
            (Cluster::start(ClusterConfig::default()).await, Authority::new(), Authority::new());
        // For `localhost` only: the address is another name.
        let certificate = authority.issue(&["localhost"]);
        let mut owner = cluster.owner().await;
        let access: String = sqlx::query_scalar("show hba_file").fetch_one(&mut owner).await.unwrap();
        for (name, text) in [
            ("server.pem", &certificate.certificate),
            ("server.key", &certificate.key),
            ("clients.pem", &clients.pem()),
        ] {
            let file = cluster.file(name);
            std::fs::write(&file, text).unwrap();
            let server_user = std::fs::metadata(&access).unwrap();
            chown(&file, Some(server_user.uid()), Some(server_user.gid())).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        sqlx::query("create role certified login superuser").execute(&mut owner).await.unwrap();
        for (setting, name) in
            [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "clients.pem")]
        {
            let set = format!("alter system set {setting} = '{}'", cluster.file(name).display());
            sqlx::query(sqlx::AssertSqlSafe(set)).execute(&mut owner).await.unwrap();
        }
        sqlx::query("alter system set ssl = on").execute(&mut owner).await.unwrap();
        std::fs::write(&access, ACCESS).unwrap();
        sqlx::query("select pg_reload_conf()").execute(&mut owner).await.unwrap();
        let server = Self { cluster, authority, clients, folder: tempfile::tempdir().unwrap() };
        server.write("ca.pem", &server.authority.pem());
        server.write("other.pem", &Authority::new().pem());
        server
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The URL with a host and with parameters.
    fn url(&self, host: &str, parameters: &[(&str, &str)]) -> String {
        let url = self.cluster.url();
        let bare = url.split('?').next().unwrap().replace("127.0.0.1", host);
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{bare}?{}", parameters.join("&"))
    }
}

async fn list(url: &str) -> ProgramOutput {
    let mut command = tokio::process::Command::new(apex_binary());
    command.env_clear().env("APEX_DATABASE_URL", url).args(["projections", "list"]).current_dir(Path::new("/"));
    let output = command.output().await.unwrap();
    ProgramOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_postgresql_is_verified() {
    let server = Server::start().await;
    let (ca, other) = (server.path("ca.pem"), server.path("other.pem"));
    let verified = [("sslmode", "verify-full"), ("sslrootcert", ca.as_str())];
    // The server takes up its new settings within a moment.
    testkit::wait_until("the server speaks TLS", async || {
        list(&server.url("localhost", &verified)).await.code == Some(0)
    })
    .await;
    let refused = async |url: &str, cause: &str| {
        let output = list(url).await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.stderr.contains(cause), "{cause}: {}", output.stderr);
        let password = url.split(':').nth(2).unwrap().split('@').next().unwrap();
        assert!(password.len() > 20 && !output.stderr.contains(password), "{}", output.stderr);
    };
    // Of another authority.
    refused(&server.url("localhost", &[("sslmode", "verify-full"), ("sslrootcert", &other)]), "UnknownIssuer").await;
    // For another name, which only `verify-full` compares.
    refused(&server.url("127.0.0.1", &verified), "not valid for name").await;
    let by_address = [("sslmode", "verify-ca"), ("sslrootcert", ca.as_str())];
    list(&server.url("127.0.0.1", &by_address)).await.assert_success();
    // The authority is not one of the public ones.
    refused(&server.url("localhost", &[("sslmode", "verify-full")]), "UnknownIssuer").await;
    // Without TLS.
    refused(&server.url("localhost", &[("sslmode", "disable")]), "pg_hba.conf").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apex_presents_a_client_certificate_to_postgresql() {
    let server = Server::start().await;
    let files = |name: &str, certificate: &testkit::Certificate| {
        server.write(&format!("{name}.pem"), &certificate.certificate);
        server.write(&format!("{name}.key"), &certificate.key);
        (server.path(&format!("{name}.pem")), server.path(&format!("{name}.key")))
    };
    let known = files("known", &server.clients.issue_named("certified"));
    let stranger = files("stranger", &Authority::new().issue_named("certified"));
    let ca = server.path("ca.pem");
    let url = |client: Option<&(String, String)>| {
        let mut parameters = vec![("sslmode", "verify-full"), ("sslrootcert", ca.as_str())];
        if let Some((certificate, key)) = client {
            parameters.extend([("sslcert", certificate.as_str()), ("sslkey", key.as_str())]);
        }
        let url = server.url("localhost", &parameters);
        let credential = url.split("//").nth(1).unwrap().split('@').next().unwrap();
        url.replace(credential, "certified")
    };
    testkit::wait_until("the certificate is accepted", async || list(&url(Some(&known))).await.code == Some(0)).await;
    for (client, whose) in [(None, "none"), (Some(&stranger), "of an unknown authority")] {
        assert_eq!(list(&url(client)).await.code, Some(1), "{whose}");
    }
}
