"""The command `schoolgate`: one module a noun."""
