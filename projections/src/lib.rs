//! Read models, reports, alerts, and the worker that feeds them
