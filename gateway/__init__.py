"""The gateway's rooms, and `main`, which opens them: what comes in is stored, watched, shown and kept."""
