"""Against a real Keycloak."""
