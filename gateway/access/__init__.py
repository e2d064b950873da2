"""Who may call: keys, and the audit log of who did what."""
