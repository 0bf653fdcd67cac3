"""The audit trail: one immutable record of every change."""
