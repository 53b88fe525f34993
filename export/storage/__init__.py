"""Where weights lie, and how graphs are written."""
