"""What is done to a captured graph: one pass a file, and their order."""
