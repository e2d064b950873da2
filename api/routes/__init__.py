"""The calls of the API: one module a noun of the address."""
