"""Sessions and tasks: one agent's piece of work, and what it hands to another role."""
