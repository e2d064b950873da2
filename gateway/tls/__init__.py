"""The school's certificate authority, and certificates for the doors with TLS."""
