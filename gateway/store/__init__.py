"""The store: the engine, the single writer, the readers beside it, and the migrations."""
