"""What the gateway says of itself: readiness, figures, and what is wrong with it."""
