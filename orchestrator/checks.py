"""System checks: a wrong deployment does not start."""
