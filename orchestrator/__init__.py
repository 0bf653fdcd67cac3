"""The wiring on top of the apps: settings, identity, the JSON door, commands."""

__version__ = "0.1.0"
