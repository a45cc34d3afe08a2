//! The database: where it is, whether its schema fits, and as whom to work on it.

use crate::config::{Common, Secret};
use crate::embedded::{Embedded, Supervisor};
use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use streams::LOG_CONNECTIONS;

/// Every migration, compiled in.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// A statement that takes longer is logged at the level `debug`.
const SLOW_STATEMENT: Duration = Duration::from_secs(1);

/// How long to wait for a connection from the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database, and the private cluster that it lives in if no other was named.
pub struct Database {
    /// Connections that work as the role `apex_app`, unless they were asked for as the owner's.
    pub pool: PgPool,
    /// The folder to read archived events from.
    pub archive: Option<PathBuf>,
    /// Before the cluster, so that it ends first.
    supervisor: Option<Supervisor>,
    embedded: Option<Embedded>,
}

impl Database {
    /// Opens the database that the settings name, or the private cluster, which is also migrated.
    ///
    /// # Errors
    /// Where no PostgreSQL can be found, started or reached, or its schema does not fit this program.
    pub async fn open(common: &Common) -> anyhow::Result<Self> {
        Self::open_with(common, &[("role", "apex_app")]).await
    }

    /// As [`Database::open`], with all the rights of the login.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_as_owner(common: &Common) -> anyhow::Result<Self> {
        Self::open_with(common, &[]).await
    }

    /// Opens the pool with what the budget of the process leaves beside the log's own connections.
    async fn open_with(common: &Common, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (url, embedded) = locate(common).await?;
        if embedded.is_some() {
            migrate_url(&url).await?;
        } else {
            check_schema(&url).await?;
        }
        let connections = common.database_connections.saturating_sub(LOG_CONNECTIONS).max(1);
        let pool = connect_with(&url, connections, settings).await?;
        let supervisor = embedded.as_ref().map(Embedded::supervise).transpose();
        let supervisor = supervisor.context("the private PostgreSQL cluster cannot be watched over")?;
        Ok(Self { pool, archive: common.archive.clone(), supervisor, embedded })
    }

    /// Closes the connections, and stops the private cluster if nobody else uses it.
    ///
    /// # Errors
    /// Where the cluster cannot be stopped.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        drop(self.supervisor);
        if let Some(embedded) = self.embedded {
            embedded.stop().await.context("the private PostgreSQL cluster could not be stopped")?;
        }
        Ok(())
    }
}

/// Brings the schema up to date.
///
/// # Errors
/// Where the database cannot be reached or refuses.
pub async fn migrate(common: &Common) -> anyhow::Result<()> {
    let (url, embedded) = locate(common).await?;
    migrate_url(&url).await?;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    Ok(())
}

/// Where the database is; without a URL of one, the private cluster is started, and runs as long as it is held.
pub(crate) async fn locate(common: &Common) -> anyhow::Result<(Secret, Option<Embedded>)> {
    match &common.database_url {
        Some(url) => Ok((url.clone(), None)),
        None => {
            let embedded = Embedded::start(&common.home).await?;
            Ok((Secret::from(embedded.url().to_owned()), Some(embedded)))
        }
    }
}

/// A pool whose connections have the application's rights, not the owner's.
///
/// # Errors
/// Where the URL is none or the database cannot be reached.
pub async fn connect(url: &Secret, connections: u32) -> anyhow::Result<PgPool> {
    connect_with(url, connections, &[("role", "apex_app")]).await
}

async fn connect_with(url: &Secret, connections: u32, settings: &[(&str, &str)]) -> anyhow::Result<PgPool> {
    let options = options(url)?;
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .acquire_slow_threshold(ACQUIRE_TIMEOUT / 2)
        .connect_with(options.clone().options(settings.iter().copied()))
        .await
        .with_context(|| out_of_reach(&options))
}

fn out_of_reach(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    format!(
        "PostgreSQL at {host}:{port} cannot be reached: check that it runs there, that it accepts connections from this \
         machine, and that APEX_DATABASE_URL names it and its password"
    )
}

fn options(url: &Secret) -> anyhow::Result<PgConnectOptions> {
    check_scheme(url.reveal())?;
    // The error of the parser may quote the URL, and with it the password.
    let options = PgConnectOptions::from_str(url.reveal())
        .map_err(|_| anyhow::anyhow!("APEX_DATABASE_URL is not of the form postgres://user:password@host/database"))?;
    // Not "$user": a login role that happens to be called apex would look for the migrations in the schema apex.
    // Over many partitions a short statement looks costly enough to compile, which then takes seconds: no jit.
    let options = options.application_name("apex").options([("search_path", "public"), ("jit", "off")]);
    // The library logs the whole text of a slow statement as a warning. Whoever wants that asks for sqlx=debug.
    Ok(options.log_slow_statements(log::LevelFilter::Debug, SLOW_STATEMENT))
}

/// The library takes any scheme for that of PostgreSQL.
fn check_scheme(url: &str) -> anyhow::Result<()> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    anyhow::ensure!(
        ["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()),
        "APEX_DATABASE_URL {}: Apex keeps its log in PostgreSQL 15 or newer and in no other database. Set it to \
         postgres://user:password@host/database, or leave it out to use a private PostgreSQL",
        match scheme {
            "" => "does not begin with postgres://".to_owned(),
            // A scheme is letters and digits; whatever else is before :// may be a secret.
            scheme if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("begins with {scheme}://"),
            _ => "does not begin with postgres://".to_owned(),
        }
    );
    Ok(())
}

async fn connect_as_owner(url: &Secret) -> anyhow::Result<PgConnection> {
    let options = options(url)?;
    options.connect().await.with_context(|| out_of_reach(&options))
}

async fn migrate_url(url: &Secret) -> anyhow::Result<()> {
    let mut connection = connect_as_owner(url).await?;
    MIGRATIONS.run(&mut connection).await.context("the schema cannot be migrated")
}

async fn check_schema(url: &Secret) -> anyhow::Result<()> {
    let mut connection = connect_as_owner(url).await?;
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let made: Option<String> =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text").fetch_one(&mut connection).await?;
    let applied: Vec<i64> = match made {
        Some(_) => {
            sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(&mut connection).await?
        }
        None => Vec::new(),
    };
    if let Some(missing) = known.iter().find(|version| !applied.contains(version)) {
        anyhow::bail!("the database lacks migration {missing}: run `apex migrate` with the same APEX_DATABASE_URL");
    }
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        anyhow::bail!("the database has migration {newer}, which this program does not know: use a newer apex");
    }
    Ok(())
}
