//! Settings of deliveries of alerts.

use super::edge::network;
use clap::Args;
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of deliveries of alerts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server options")]
pub struct Alerts {
    /// Networks, separated by commas, to which alerts may be sent although they are not public, also by plain HTTP, such as
    /// 10.0.0.0/8. Tenants choose the addresses: allow no network with services that trust this machine [default: none].
    #[arg(long, env = "APEX_ALERT_NETWORKS", value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    pub alert_networks: Vec<IpNet>,

    /// The certificates of further authorities in PEM, of which one may have issued the certificate of an endpoint for alerts.
    #[arg(long, env = "APEX_ALERT_CA_FILE", value_name = "FILE")]
    pub alert_ca_file: Option<PathBuf>,

    /// How long an endpoint for alerts may take to answer, in milliseconds.
    #[arg(long, env = "APEX_ALERT_TIMEOUT_MS", value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub alert_timeout_ms: u64,
}

impl Alerts {
    /// How long an endpoint may take to answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.alert_timeout_ms)
    }
}
