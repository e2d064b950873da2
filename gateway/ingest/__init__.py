"""Frames to rows, in the writer's transaction."""
