"""What every room needs and none owns: errors, clocks, moments, back-off, durable files, upserts."""
