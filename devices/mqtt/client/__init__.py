"""The bridge to a broker that the school already runs."""
