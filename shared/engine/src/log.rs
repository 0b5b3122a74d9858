//! How an error gets into the log.

/// Writes a line of the log at the level of a severity: `LOW` as info, `MEDIUM` as a warning,
/// `HIGH` and `CRITICAL` as an error. What tells those two apart is the field `alarm = true`,
/// for a metric filter; whoever writes the line adds it, where it is news.
///
/// A macro, since a line's level is part of its call site.
#[macro_export]
macro_rules! log_by_severity {
    ($severity:expr, $($line:tt)+) => {
        match $severity {
            ::turnwise_core::category::Severity::Low => ::tracing::info!($($line)+),
            ::turnwise_core::category::Severity::Medium => ::tracing::warn!($($line)+),
            ::turnwise_core::category::Severity::High | ::turnwise_core::category::Severity::Critical => {
                ::tracing::error!($($line)+)
            }
        }
    };
}
