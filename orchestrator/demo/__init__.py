"""The demo: a made-up company whose past is seeded once and whose agents can be played over HTTP; no part of the product."""
