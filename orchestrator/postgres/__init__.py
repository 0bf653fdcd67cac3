"""Django's PostgreSQL backend with a quicker look whether a kept connection still stands (`ENGINE`)."""
