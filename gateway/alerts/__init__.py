"""Alerts: rules, their pure engine, and the stage that feeds it committed rows."""
