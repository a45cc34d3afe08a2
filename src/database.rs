//! Opens the database: locates it, checks its schema, and sets the role of its connections.

use crate::config::{Common, Secret};
use crate::embedded::{Embedded, Supervisor};
use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use streams::{LOG_CONNECTIONS, TenantReads};

/// All migrations, compiled into the program.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The duration from which a statement is logged, at level `debug`.
const SLOW_STATEMENT: Duration = Duration::from_secs(1);

/// The timeout for a connection from the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The share of the connections, one in so many, that serves reads of requests. The others are for commands and workers.
const READS_SHARE: u32 = 3;

/// The number of connections, of those that the log does not use itself, that serve reads of requests.
#[must_use]
pub fn read_connections(connections: u32) -> u32 {
    (connections / READS_SHARE).max(1)
}

/// An open database, and the private cluster that contains it if no URL was given.
pub struct Database {
    /// The connections. Their role is `apex_app`, or that of the login after [`Database::open_as_owner`].
    pub pool: PgPool,
    /// The connections of reads on behalf of tenants, with the role `apex_reader`.
    pub reads: TenantReads,
    /// The directory of archived events.
    pub archive: Option<PathBuf>,
    /// Declared before the cluster, so that it is dropped first.
    supervisor: Option<Supervisor>,
    embedded: Option<Embedded>,
}

impl Database {
    /// Opens the database of the settings, or the private cluster, whose schema is also migrated.
    ///
    /// # Errors
    /// If no PostgreSQL can be found, started or reached, or its schema is not the one of this program: an older one of a
    /// configured database, a newer one, or one from before the migrations were squashed.
    pub async fn open(common: &Common) -> anyhow::Result<Self> {
        Self::open_with(common, &[("role", "apex_app")]).await
    }

    /// As [`Database::open`], with all privileges of the login.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_as_owner(common: &Common) -> anyhow::Result<Self> {
        Self::open_with(common, &[]).await
    }

    /// Opens the pools with the connections of the process that the log does not use itself.
    async fn open_with(common: &Common, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (url, embedded) = locate(common).await?;
        match &embedded {
            Some(embedded) => migrate_url(&url, Some(embedded.home_dir())).await?,
            None => check_schema(&url).await?,
        }
        let connections = common.database_connections.saturating_sub(LOG_CONNECTIONS).max(1);
        let for_reads = read_connections(connections);
        let pool = connect_with(&url, connections.saturating_sub(for_reads).max(1), settings).await?;
        let reads = TenantReads::beside(&pool, for_reads);
        let supervisor = embedded.as_ref().map(Embedded::supervise).transpose();
        let supervisor = supervisor.context("the supervisor of the private PostgreSQL cluster cannot be started")?;
        Ok(Self { pool, reads, archive: common.archive.clone(), supervisor, embedded })
    }

    /// Closes the connections, and stops the private cluster if no other process uses it.
    ///
    /// # Errors
    /// If the cluster cannot be stopped.
    pub async fn close(self) -> anyhow::Result<()> {
        self.reads.close().await;
        self.pool.close().await;
        drop(self.supervisor);
        if let Some(embedded) = self.embedded {
            embedded.stop().await.context("the private PostgreSQL cluster could not be stopped")?;
        }
        Ok(())
    }
}

/// Applies all pending migrations.
///
/// # Errors
/// If the database cannot be reached, it was created before the migrations were squashed, or a migration fails.
pub async fn migrate(common: &Common) -> anyhow::Result<()> {
    let (url, embedded) = locate(common).await?;
    migrate_url(&url, embedded.as_ref().map(Embedded::home_dir)).await?;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    Ok(())
}

/// The URL of the database. Without one in the settings, the private cluster is started, and runs until it is dropped.
pub(crate) async fn locate(common: &Common) -> anyhow::Result<(Secret, Option<Embedded>)> {
    match &common.database_url {
        Some(url) => Ok((url.clone(), None)),
        None => {
            let embedded = Embedded::start(&common.home).await?;
            Ok((Secret::from(embedded.url().to_owned()), Some(embedded)))
        }
    }
}

/// Opens a pool whose connections have the privileges of the application, not of the owner.
///
/// # Errors
/// If the URL is invalid, or the database cannot be reached.
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
        .with_context(|| unreachable_message(&options))
}

fn unreachable_message(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    format!(
        "PostgreSQL at {host}:{port} cannot be reached: check that it runs there and accepts connections from this machine, \
         and that the host, user and password in APEX_DATABASE_URL are right"
    )
}

fn options(url: &Secret) -> anyhow::Result<PgConnectOptions> {
    check_scheme(url.reveal())?;
    // The parser's error may quote the URL, and with it the password.
    let options = PgConnectOptions::from_str(url.reveal())
        .map_err(|_| anyhow::anyhow!("APEX_DATABASE_URL is not of the form postgres://user:password@host/database"))?;
    // Not "$user": a login role named apex would look for the table of migrations in the schema apex. No JIT: over many
    // partitions PostgreSQL overestimates the cost of short statements, and compiles them for seconds.
    let options = options.application_name("apex").options([("search_path", "public"), ("jit", "off")]);
    // By default sqlx logs the text of slow statements as a warning. With this, APEX_LOG=sqlx=debug shows it.
    Ok(options.log_slow_statements(log::LevelFilter::Debug, SLOW_STATEMENT))
}

/// Checks the scheme of the URL: sqlx accepts any.
fn check_scheme(url: &str) -> anyhow::Result<()> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    anyhow::ensure!(
        ["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()),
        "APEX_DATABASE_URL {}: Apex requires PostgreSQL 15 or newer. Set it to postgres://user:password@host/database, or \
         unset it to use a private PostgreSQL cluster",
        match scheme {
            "" => "does not begin with postgres://".to_owned(),
            // A scheme consists of letters and digits; anything else before :// may be a secret.
            scheme if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("begins with {scheme}://"),
            _ => "does not begin with postgres://".to_owned(),
        }
    );
    Ok(())
}

async fn connect_as_owner(url: &Secret) -> anyhow::Result<PgConnection> {
    let options = options(url)?;
    options.connect().await.with_context(|| unreachable_message(&options))
}

/// Applies the pending migrations. `home` is the home directory of the private cluster, if the database is in it.
async fn migrate_url(url: &Secret, home: Option<&Path>) -> anyhow::Result<()> {
    let mut connection = connect_as_owner(url).await?;
    check_contents(&applied_migrations(&mut connection).await?, home)?;
    MIGRATIONS.run(&mut connection).await.context("the schema cannot be migrated")
}

/// Checks that all migrations of this program are applied to a configured database, and no others.
async fn check_schema(url: &Secret) -> anyhow::Result<()> {
    let mut connection = connect_as_owner(url).await?;
    anyhow::ensure!(
        is_member(&mut connection, "apex_app").await? != Some(false),
        "the login of APEX_DATABASE_URL is not a member of the role apex_app, which Apex works as: as a superuser, run \
         `grant apex_app to LOGIN`"
    );
    let applied = applied_migrations(&mut connection).await?;
    check_contents(&applied, None)?;
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    if let Some(missing) = MIGRATIONS.iter().find(|migration| !is_applied(migration.version)) {
        let missing = missing.version;
        anyhow::bail!(
            "migration {missing} is not applied to the database: run `apex migrate` with the same APEX_DATABASE_URL"
        );
    }
    if let Some(newer) = applied.iter().find(|migration| !MIGRATIONS.version_exists(migration.version)) {
        let newer = newer.version;
        anyhow::bail!(
            "the database has migration {newer}, which this version of apex does not know: use a newer version"
        );
    }
    anyhow::ensure!(
        is_member(&mut connection, "apex_reader").await? == Some(true),
        "the role apex_app is not a member of the role apex_reader, which the reads of requests work as: as a superuser, run \
         `grant apex_reader to apex_app`"
    );
    Ok(())
}

/// Whether the login is a member of a role; none if the role does not exist.
async fn is_member(connection: &mut PgConnection, role: &str) -> anyhow::Result<Option<bool>> {
    let is_member = "select pg_has_role(session_user, oid, 'member') from pg_roles where rolname = $1";
    Ok(sqlx::query_scalar(is_member).bind(role).fetch_optional(connection).await?)
}

#[derive(sqlx::FromRow)]
struct AppliedMigration {
    version: i64,
    checksum: Vec<u8>,
}

/// The migrations that were applied to the database: none if it is empty.
async fn applied_migrations(connection: &mut PgConnection) -> anyhow::Result<Vec<AppliedMigration>> {
    let table: Option<String> =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text").fetch_one(&mut *connection).await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    let applied = sqlx::query_as("select version, checksum from _sqlx_migrations where success order by version");
    Ok(applied.fetch_all(connection).await?)
}

/// Refuses a database in which a migration has other contents than in this program.
///
/// Since the migrations were squashed, they are only added and never changed. So the database is older than that. Its
/// schema may be almost the same, but nothing migrates it, because no release created such a database.
fn check_contents(applied: &[AppliedMigration], home: Option<&Path>) -> anyhow::Result<()> {
    let differs = |applied: &AppliedMigration| {
        let same_version = MIGRATIONS.iter().find(|migration| migration.version == applied.version);
        same_version.is_some_and(|migration| migration.checksum[..] != applied.checksum[..])
    };
    let Some(AppliedMigration { version, .. }) = applied.iter().find(|applied| differs(applied)) else { return Ok(()) };
    let (start_again, read_again) = match home.map(Path::display) {
        Some(home) => (
            format!("stop all apex processes, move the directory {home} away, run `apex migrate`,"),
            ", with APEX_HOME set to the directory that was moved",
        ),
        None => ("set APEX_DATABASE_URL to an empty database, run `apex migrate`,".to_owned(), ""),
    };
    anyhow::bail!(
        "this database was created by a build of apex from before its migrations were squashed: migration {version} has \
         other contents in this build. No release created such a database, so nothing migrates it, and it was not changed. \
         To start again, {start_again} and import the sources with `apex import`. The events cannot be moved to the new \
         database; keep the old build to read them with `apex report` and `apex replay`{read_again}"
    )
}
