"""Approvals: a question to a role about a task, and its answer."""
