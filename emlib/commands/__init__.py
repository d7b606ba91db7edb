"""What the `emlib` command does: one module a subcommand."""
