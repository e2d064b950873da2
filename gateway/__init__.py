"""The core: composition root, configuration, store, ingest, attendance, alerts, schedule."""
